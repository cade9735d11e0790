"""Settings for tests in which nothing but the test's own machine makes Redis slow."""

from typing import Any, Final

from rediscore.settings import RedisSettings

PATIENCE: Final = 20.0
"""Seconds; a machine that runs many tests at once may stand still for the two of the defaults."""


def patient_settings(url: str, **values: Any) -> RedisSettings:
    """`RedisSettings.from_url` with time-outs that a busy machine does not reach."""
    times = dict.fromkeys(("socket_timeout", "connect_timeout", "pool_timeout"), PATIENCE)
    return RedisSettings.from_url(url, **(times | values))

"""The committed contract: ``python -m analytics_service.contract write`` (or ``check``)."""

from pathlib import Path

from fastapi import FastAPI
from pizzeria_chassis.contract import main
from rediscore.settings import RedisSettings

from analytics_service.app import create_analytics_app
from analytics_service.settings import AnalyticsSettings

FOLDER = Path(__file__).parents[2]


def make_app() -> FastAPI:
    """The app as documented; what it is connected to does not matter."""
    redis = RedisSettings.from_url("redis://127.0.0.1:6379/0")
    return create_analytics_app(AnalyticsSettings(environment="demo", redis=redis))


if __name__ == "__main__":
    main(FOLDER, make_app)

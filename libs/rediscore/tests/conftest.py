"""Where the processes of these tests come from."""

from collections.abc import Iterator

import pytest
from rediscore.testing.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    with Nursery(
        "rediscore.client", "rediscore.cache", "rediscore.breaker", "rediscore.sessions", "rediscore.streams"
    ) as made:
        yield made

"""What a run consists of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pizzeria.backoff import Backoff
from pizzeria.home import Home


@dataclass(frozen=True, slots=True)
class Simulation:
    """The simulated people. `orders_per_second` 0 means no customers: only cooks and drivers work."""

    orders_per_second: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorOptions:
    """How to run the pizzeria. The defaults are those of `pizzeria up`, without simulated customers.

    Args:
        home: folder of the state file, the data and the logs.
        fresh: delete the data of the home folder first.
        redis_url: an external Redis; then none is started and none is supervised.
        database_urls: per service; a service that is not named gets an SQLite file in the home folder.
        replicas: processes per service, 1 where not named. Replicas share the database.
        environment: more variables per process name (`order` speaks to all replicas of order).
        tokens: cook, driver, manager, service; made up when not given.
        any_port: take free ports instead of 6379 and 8001-8004.
        restart: start again, with `backoff`, what dies.
        simulation: `None` starts no simulators.
        grace_seconds: from SIGTERM to SIGKILL.
        start_seconds: how long all may take to be ready.
        commands: other commands in place of `python -m <service>`, by process name.
    """

    home: Home
    fresh: bool = False
    redis_url: str | None = None
    database_urls: Mapping[str, str] = field(default_factory=dict)
    replicas: Mapping[str, int] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tokens: Mapping[str, str] = field(default_factory=dict)
    any_port: bool = False
    restart: bool = True
    backoff: Backoff = field(default_factory=lambda: Backoff(0.2, 10.0))
    simulation: Simulation | None = field(default_factory=Simulation)
    grace_seconds: float = 10.0
    start_seconds: float = 60.0
    commands: Mapping[str, Sequence[str]] = field(default_factory=dict)

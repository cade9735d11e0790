"""Which processes there are, where they listen, what they are told."""

import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from pizzeria.home import Home
from pizzeria.state import Endpoint, State
from pizzeria.supervisor import services
from pizzeria.supervisor.forks import ForkServerClient
from pizzeria.supervisor.options import SupervisorOptions
from pizzeria.supervisor.ports import Reservation, reserve
from pizzeria.supervisor.program import Child, Program, launch
from pizzeria.supervisor.redis_server import RedisServer
from pizzeria.supervisor.services import REDIS, SIMULATORS


class Plan:
    """One run, worked out from its options; the ports are reserved, nothing is started.

    Raises: NoFreePortError.

    Attributes:
        redis: the embedded server, `None` with an external one.
        forks: what services are forked from; `None` where they are started one by one.
        programs: services and simulators by process name.
    """

    def __init__(self, options: SupervisorOptions) -> None:
        self._options = options
        self._home: Home = options.home
        self._tokens = services.make_tokens(options.tokens)
        self._ports = self._reserve_ports()
        self.redis = self._plan_redis()
        inherited = services.inherited_environment()
        self.forks = (
            ForkServerClient(
                services.SHARED_MODULES, environment=inherited, log=self._home.log("fork-server")
            )
            if sys.platform == "linux"
            else None
        )
        self._shared = inherited | services.shared_environment(
            {name: self.url(name) for name in services.PORTS},
            self._tokens,
            redis_url=self._redis_url,
        )
        self.programs = {name: self._plan_service(name) for name in self.service_names}
        if options.simulation is not None:
            rate = {"ORDERS_PER_SECOND": str(options.simulation.orders_per_second)}
            self.programs[SIMULATORS] = Program(SIMULATORS, self._launcher(SIMULATORS, rate, forked=False))

    @property
    def service_names(self) -> list[str]:
        """Process names of all replicas of all services."""
        return [
            service if number == 1 else f"{service}-{number}"
            for service in services.PORTS
            for number in range(1, self._options.replicas.get(service, 1) + 1)
        ]

    def url(self, name: str) -> str:
        """Address of a service process."""
        return f"http://127.0.0.1:{self._ports[name].port}"

    def state(self, pids: Mapping[str, int | None]) -> State:
        """What the state file says when these processes run."""
        return State(
            redis=Endpoint(self._redis_url, pids.get(REDIS)),
            services={name: Endpoint(self.url(name), pids.get(name)) for name in self.service_names},
            tokens=dict(self._tokens),
        )

    def release(self) -> None:
        """Give ports and threads back, once everything has ended."""
        for reservation in self._ports.values():
            reservation.release()
        if self.redis is not None:
            self.redis.close()

    @property
    def _redis_url(self) -> str:
        return self.redis.url if self.redis is not None else self._options.redis_url or ""

    def _reserve_ports(self) -> dict[str, Reservation]:
        wanted = {name: services.PORTS.get(name, 0) for name in self.service_names}
        if self._options.redis_url is None:
            wanted[REDIS] = services.REDIS_PORT
        return reserve(dict.fromkeys(wanted, 0) if self._options.any_port else wanted)

    def _plan_redis(self) -> RedisServer | None:
        if self._options.redis_url is not None:
            return None
        return RedisServer(self._home.data, port=self._ports[REDIS].port, password=secrets.token_urlsafe(24))

    def _plan_service(self, name: str) -> Program:
        service = services.service_of(name)
        own = {
            "HOST": "127.0.0.1",
            "PORT": str(self._ports[name].port),
            "DATABASE_URL": self._options.database_urls.get(service)
            or services.sqlite_url(self._home.data, service),
        }
        return Program(name, self._launcher(name, own, forked=True))

    def _launcher(self, name: str, own: Mapping[str, str], *, forked: bool) -> Callable[[], Awaitable[Child]]:
        service = services.service_of(name)
        environment = {**self._shared, **own, **self._options.environment.get(service, {})}
        log = self._home.log(name)
        if command := self._options.commands.get(name):
            return partial(launch, command, environment, log)
        if forked and self.forks is not None:
            return partial(self.forks.fork, services.module_of(service), environment, log)
        return partial(launch, [sys.executable, "-m", services.module_of(service)], environment, log)

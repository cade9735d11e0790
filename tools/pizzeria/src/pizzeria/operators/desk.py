"""The services that an operator speaks to, with a manager's token."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pizzeria.errors import PizzeriaError, UnavailableError
from pizzeria.home import Home
from pizzeria.running import Service, running_state

__all__ = ["Desk"]


class Desk:
    """Services by name, in the order in which they are shown."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._services = services

    @classmethod
    def open(cls, *, service: str | None, url: str | None, token_env: str | None) -> "Desk":
        """Of the pizzeria that runs here, or of one service at ``url``.

        The token is read from a variable: an argument could be read by every user of the machine.

        Raises: NotRunningError, PizzeriaError.
        """
        if url is not None:
            if not token_env or not os.environ.get(token_env):
                raise PizzeriaError("With --url, name a variable with a manager's token: --token-env.")
            return cls({service or "service": Service(url, os.environ[token_env])})
        state = running_state(Home.find())
        known = {name: Service(end.url, state.tokens["manager"]) for name, end in state.services.items()}
        if service is None:
            return cls(known)
        if service not in known:
            raise PizzeriaError(f"There is no service {service}; there are {', '.join(known)}.")
        return cls({service: known[service]})

    def __iter__(self) -> Iterator[tuple[str, Service]]:
        return iter(self._services.items())

    def one(self, name: str) -> Service:
        """Raises: PizzeriaError."""
        try:
            return self._services[name]
        except KeyError:
            raise PizzeriaError(
                f"There is no service {name}; there are {', '.join(self._services)}."
            ) from None

    def ask_all(self, path: str) -> dict[str, dict[str, Any]]:
        """Answers of all services by name; of one that does not answer ``{"error": sentence}``.

        Replicas of a service share a database, but breakers and faults are each one's own.
        """
        answers: dict[str, dict[str, Any]] = {}
        for name, service in self:
            try:
                answers[name] = service.call("GET", path)
            except UnavailableError as error:
                answers[name] = {"error": str(error)}
        return answers

    def letter(self, reference: str) -> tuple[Service, str]:
        """The service and the path of a letter ``order/12``. Raises: PizzeriaError."""
        name, _, number = reference.rpartition("/")
        if not number.isdigit():
            raise PizzeriaError(f"{reference!r}: write service/number, as `dead-letters list` shows it.")
        if not name and len(self._services) == 1:
            name = next(iter(self._services))
        return self.one(name), f"/ops/dead-letters/{number}"

"""Ports of 127.0.0.1: the wanted one, else the next free one, held from the choice on."""

import socket
import sys
from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from pizzeria.errors import NoFreePortError

_TRIES = 200


class Reservation:
    """A port that is ours until `release`.

    On Linux the port stays bound, not listening, with SO_REUSEADDR: the process it is meant for can
    listen on it (again after a restart), and the kernel gives it to nobody else. Another supervisor that
    starts at the same time would succeed with the same bind, so a name of the port is held as well.
    Elsewhere a second bind is refused, so there the port is only looked up.
    """

    def __init__(self, port: int) -> None:
        """Take `port`; 0 takes any free one. Raises: OSError when it is taken."""
        with ExitStack() as undo:
            bound = undo.enter_context(socket.socket())
            # Without it a port that was in use a minute ago (TIME_WAIT) looks taken. With it for port 0
            # the kernel might hand out a port that somebody else has reserved in the same way.
            if port:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", port))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.port: int = bound.getsockname()[1]
            if sys.platform == "linux":
                name = undo.enter_context(socket.socket(socket.AF_UNIX))
                name.bind(f"\0pizzeria-port-{self.port}")  # no file: it goes with its holder
                self._held = undo.pop_all()
            else:
                self._held = ExitStack()

    def release(self) -> None:
        """Let the port go. Harmless when repeated."""
        self._held.close()


def reserve(wanted: Mapping[str, int]) -> dict[str, Reservation]:
    """A port for each name: the wanted one, or where that is taken the next free one that nobody wants.

    So one taken port moves one service, not all of them. 0 means any free port.

    Raises: NoFreePortError after 200 taken ones.
    """
    reserved = {name: _first([port]) for name, port in wanted.items()}
    for name, port in wanted.items():
        if reserved[name] is None:
            others = {*wanted.values()}
            reserved[name] = _first(n for n in range(port + 1, min(port + _TRIES, 65_536)) if n not in others)
    found = {name: held for name, held in reserved.items() if held is not None}
    if missing := [name for name in wanted if name not in found]:
        for held in found.values():
            held.release()
        raise NoFreePortError(
            f"No free port for {missing[0]}: {wanted[missing[0]]} and the {_TRIES} after it are taken."
        )
    return found


def _first(ports: Iterable[int]) -> Reservation | None:
    for port in ports:
        try:
            return Reservation(port)
        except OSError:
            continue
    return None

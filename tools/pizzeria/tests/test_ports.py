"""Ports: the wanted one, else the next free one, ours from then on."""

import socket
import sys

import pytest
from pizzeria.errors import NoFreePortError
from pizzeria.supervisor.ports import reserve


def listener(port: int = 0) -> socket.socket:
    """What a server does to get a port."""
    return socket.create_server(("127.0.0.1", port))


def two_neighbours() -> tuple[socket.socket, int]:
    """Somebody who listens on a port, and the port after it, free at this moment."""
    while True:
        server = listener()
        port = server.getsockname()[1]
        try:
            listener(port + 1).close()
        except OSError:
            server.close()
            continue
        return server, port


@pytest.mark.proves("P17")
def test_a_taken_port_moves_one_service_and_leaves_the_others_alone() -> None:
    stranger, taken = two_neighbours()
    with stranger:
        held = reserve({"order": taken, "kitchen": taken + 1})
        assert held["kitchen"].port == taken + 1
        assert held["order"].port > taken + 1
        for reservation in held.values():
            reservation.release()


def test_a_reserved_port_is_for_the_one_it_is_meant_for() -> None:
    held = reserve({"order": 0})["order"]
    listener(held.port).close()
    listener(held.port).close()  # and for its restart
    held.release()


@pytest.mark.skipif(sys.platform != "linux", reason="ports are held on Linux only")
def test_a_reserved_port_is_given_to_nobody_else() -> None:
    held = reserve({"order": 0})["order"]
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", held.port))
    held.release()


@pytest.mark.skipif(sys.platform != "linux", reason="ports are held on Linux only")
def test_two_runs_that_start_together_do_not_get_the_same_port() -> None:
    first = reserve({"order": 0})["order"]
    second = reserve({"order": first.port})["order"]  # nobody listens on it yet
    assert second.port > first.port
    first.release()
    second.release()


def test_no_free_port_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pizzeria.supervisor.ports._TRIES", 1)
    with listener() as stranger, pytest.raises(NoFreePortError, match="No free port for order"):
        reserve({"order": stranger.getsockname()[1]})

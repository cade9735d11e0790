"""The connection by itself, on a transport of the test: who gets which reply, and when what is written."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
import redis.exceptions
from hypothesis import given, settings
from hypothesis import strategies as st
from rediscore.multiplexing.connection import MultiplexedConnection

pytestmark = pytest.mark.proves("T1", "T2")


class Wire(asyncio.Transport):
    """Keeps what is written; a server of the test answers when it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.aborted = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted


class Owner:
    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.pending_when_lost: list[bool] | None = None
        self.futures: list[asyncio.Future[Any]] = []

    def pushed(self, push: list[Any]) -> None:
        self.heard.append(push)

    def lost(self, connection: MultiplexedConnection) -> None:
        self.pending_when_lost = [not future.done() for future in self.futures]


def connected(**bounds: int) -> tuple[MultiplexedConnection, Wire, Owner]:
    owner, wire = Owner(), Wire()
    connection = MultiplexedConnection(owner, **bounds)
    connection.connection_made(wire)
    return connection, wire, owner


def feed(connection: MultiplexedConnection, data: bytes, cuts: list[int]) -> None:
    """As the socket would: in pieces that end anywhere."""
    edges = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    for begin, end in pairwise(edges):
        connection.get_buffer(-1)[: end - begin] = data[begin:end]
        connection.buffer_updated(end - begin)


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(1, 6)),
        st.tuples(st.just("cancel"), st.integers(0, 1000)),
        st.tuples(st.just("reply"), st.lists(st.integers(0, 200), max_size=3)),
        st.tuples(st.just("refuse"), st.lists(st.integers(0, 200), max_size=3)),
        st.tuples(st.just("push"), st.lists(st.integers(0, 200), max_size=3)),
        st.tuples(st.just("pause"), st.none()),
        st.tuples(st.just("resume"), st.none()),
    ),
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(acts=ACTS, bound=st.integers(1, 8))
def test_everybody_gets_their_own_reply_whatever_the_others_do(
    acts: list[tuple[str, Any]], bound: int
) -> None:
    async def play() -> None:
        connection, wire, owner = connected(in_flight=bound)
        futures: list[asyncio.Future[Any]] = []
        cancelled: set[int] = set()
        answered: dict[int, bool] = {}  # number of a command → refused?
        on_server: list[int] = []
        paused = False

        async def turn() -> None:
            before = len(wire.writes)
            await asyncio.sleep(0)
            written = wire.writes[before:]
            assert len(written) <= 1, "one write per turn"
            assert not (paused and written), "nothing is written while the transport is full"
            on_server.extend(int(number) for number in b"".join(written).split())
            assert len(on_server) <= bound

        async def answer(refused: bool, cuts: list[int]) -> None:
            if on_server:
                number = on_server.pop(0)
                answered[number] = refused
                feed(connection, b"-ERR %d\r\n" % number if refused else b":%d\r\n" % number, cuts)
                await turn()

        for act, detail in acts:
            if act == "send":
                for _ in range(detail):
                    futures.append(connection.send(b"%d " % len(futures)))
            elif act == "cancel" and futures:
                if futures[detail % len(futures)].cancel():
                    cancelled.add(detail % len(futures))
            elif act in ("reply", "refuse"):
                await answer(act == "refuse", detail)
            elif act == "push":
                feed(connection, b">2\r\n+told\r\n:%d\r\n" % len(owner.heard), detail)
            elif act == "pause" and not paused:
                await turn()  # asyncio pauses from within a write
                paused = True
                connection.pause_writing()
            elif act == "resume" and paused:
                paused = False
                connection.resume_writing()
            await turn()
        if paused:
            paused = False
            connection.resume_writing()
            await turn()
        while on_server:
            await answer(False, [])

        assert [push[1] for push in owner.heard] == list(range(len(owner.heard)))
        assert connection.waiting == 0
        for number, future in enumerate(futures):
            if number in cancelled:
                assert future.cancelled()
            elif answered[number]:
                assert str(future.exception()) == str(number)
            else:
                assert future.result() == number

    asyncio.run(play())


async def test_the_owner_knows_of_the_end_before_any_caller() -> None:
    connection, wire, owner = connected(in_flight=2)
    owner.futures = [connection.send(b"x") for _ in range(4)]  # two wait in the process
    await asyncio.sleep(0)

    connection.connection_lost(ConnectionResetError("reset by peer"))

    assert owner.pending_when_lost == [True] * 4
    assert wire.aborted
    errors = [future.exception() for future in owner.futures]
    assert all(type(error) is redis.exceptions.ConnectionError for error in errors)
    assert len({id(error) for error in errors}) == 4, "tracebacks of different callers do not mix"
    late = connection.send(b"x")
    assert isinstance(late.exception(), redis.exceptions.ConnectionError)


@pytest.mark.parametrize(
    "data", [b":1\r\n:2\r\n", b"?what\r\n"], ids=["a reply that nobody asked for", "no RESP at all"]
)
async def test_out_of_step_is_the_end(data: bytes) -> None:
    connection, wire, _ = connected()
    first = connection.send(b"x")
    feed(connection, data, [])
    second = connection.send(b"x")

    assert wire.aborted
    assert isinstance(second.exception(), redis.exceptions.ConnectionError)
    if data.startswith(b":1"):
        assert first.result() == 1
    else:
        assert isinstance(first.exception(), redis.exceptions.ConnectionError)


async def test_more_than_may_wait_is_refused_and_cancelled_callers_make_room() -> None:
    connection, wire, _ = connected(in_flight=1, held=3)
    futures = [connection.send(b"%d " % number) for number in range(5)]
    await asyncio.sleep(0)

    assert isinstance(futures[4].exception(), redis.exceptions.ConnectionError)
    futures[1].cancel()
    futures.append(connection.send(b"5 "))
    futures[2].cancel()
    for number in (0, 3, 5):
        feed(connection, b":%d\r\n" % number, [])
        await asyncio.sleep(0)

    assert b"".join(wire.writes) == b"0 3 5 ", "what nobody waits for any more is not sent"
    assert [futures[number].result() for number in (0, 3, 5)] == [0, 3, 5]


async def test_the_reply_of_a_replica_is_a_lost_connection() -> None:
    connection, wire, _ = connected()
    futures = [connection.send(b"x") for _ in range(3)]
    feed(connection, b"+OK\r\n-READONLY You can't write against a read only replica.\r\n+OK\r\n", [])

    assert futures[0].result() == b"OK"
    assert wire.aborted
    for future in futures[1:]:
        assert isinstance(future.exception(), redis.exceptions.ConnectionError)

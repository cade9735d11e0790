"""Processes open and close a circuit together; without Redis each does it alone."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from rediscore.breaker import CircuitBreaker, CircuitOpen, SharedBreakers, State
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.testing import FaultProxy, eventually

pytestmark = pytest.mark.proves("R11")

MakeBreaker = Callable[..., Awaitable[CircuitBreaker]]
StartProcess = Callable[[], Awaitable[Any]]

SOON = timedelta(seconds=0.5)


class DownError(Exception):
    pass


async def ok() -> None:
    pass


async def down() -> None:
    raise DownError


async def fail(breaker: CircuitBreaker, times: int = 3) -> None:
    for _ in range(times):
        with pytest.raises(DownError):
            await breaker.call(down)


async def until(breaker: CircuitBreaker, state: State) -> None:
    async def reached() -> bool:
        return breaker.state is state

    await eventually(reached, within=40, every=0.002)


async def let_through(breaker: CircuitBreaker) -> None:
    """Make one call as soon as it is admitted."""

    async def admitted() -> bool:
        try:
            await breaker.call(ok)
        except CircuitOpen:
            return False
        return True

    await eventually(admitted, within=40, every=0.05)


async def fields(connections: RedisConnections, key_prefix: str) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = await connections.execute("HGETALL", key_of(key_prefix))
    return found


def key_of(key_prefix: str) -> str:
    return KeySpace(key_prefix).key("breaker", tag="breaker:psp")


@pytest.mark.proves("CB5")
async def test_what_one_process_opens_is_open_in_the_others_within_100_ms(
    make_breaker: MakeBreaker, other_process: StartProcess
) -> None:
    opened_at = 0.0

    def listen(_: object) -> None:
        nonlocal opened_at
        opened_at = time.monotonic()

    other = await other_process()
    breaker = await make_breaker(listeners=[listen])
    delays = []
    for _ in range(5):  # the machine may stall once; the best of five says what the way takes
        answer = await other.ask(do="fail")
        await until(breaker, State.OPEN)
        delays.append(opened_at - answer["at"])
        breaker.reset()

        async def closed_there() -> bool:
            return bool((await other.ask(do="state"))["state"] == "CLOSED")

        await eventually(closed_there, within=40, every=0.01)
    assert min(delays) < 0.1


@pytest.mark.proves("CB5", "CB4")
async def test_the_closed_path_asks_redis_nothing(
    make_breaker: MakeBreaker, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    breaker = await make_breaker(through_proxy)
    sent = 0
    execute = through_proxy.execute

    async def counting(*command: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        return await execute(*command, **options)

    through_proxy.execute = counting  # type: ignore[method-assign]
    await asyncio.sleep(0.3)  # it catches up once
    sent = 0
    for _ in range(1000):
        await breaker.call(ok)
    assert sent == 0
    fault_proxy.cut()
    await breaker.call(ok)


@pytest.mark.proves("CB1")
async def test_across_processes_at_most_as_many_probes_as_one_may_have(
    make_breaker: MakeBreaker, other_process: StartProcess
) -> None:
    """Three processes hammer a circuit whose pause is over; then one that holds probes is killed."""
    others = [await other_process() for _ in range(3)]
    assert (await others[0].ask(do="fail"))["state"] == "OPEN"

    async def open_everywhere() -> bool:
        return all([(await other.ask(do="state"))["state"] == "OPEN" for other in others])

    await eventually(open_everywhere, within=40)
    await asyncio.sleep(1.1)  # the pause is over for all

    for other in others:
        await other.tell(do="hold", calls=20, **{"for": 0.7})
    begun = [(await other.hear())["begun"] for other in others]

    assert sum(begun) == 2
    holders = [other for other, number in zip(others, begun, strict=True) if number]
    for holder in holders:
        holder.process.send_signal(signal.SIGKILL)
    breaker = await make_breaker()
    await until(breaker, State.OPEN)  # it has heard
    await let_through(breaker)  # once the patience with the dead is over
    await let_through(breaker)
    await until(breaker, State.CLOSED)


async def test_successes_of_all_processes_close_it_for_all(make_breaker: MakeBreaker) -> None:
    first, second, third = [await make_breaker(open_for=SOON) for _ in range(3)]
    await fail(first)
    for breaker in (second, third):
        await until(breaker, State.OPEN)
    await let_through(first)
    await let_through(second)
    for breaker in (first, second, third):
        await until(breaker, State.CLOSED)


async def test_what_was_decided_on_old_news_gives_way_to_what_is_newer(
    make_breaker: MakeBreaker,
    through_proxy: RedisConnections,
    fault_proxy: FaultProxy,
    connections: RedisConnections,
    key_prefix: str,
) -> None:
    """One that heard nothing for a while opens for the reasons of its own, after others opened and closed."""
    deaf, other = await make_breaker(through_proxy), await make_breaker()
    await fault_proxy_is_used(fault_proxy)
    fault_proxy.pause()  # it hears and is heard late
    await fail(other)

    async def known(state: bytes) -> bool:
        return (await fields(connections, key_prefix)).get(b"state") == state

    await eventually(lambda: known(b"open"))
    other.reset()
    await eventually(lambda: known(b"closed"))
    version = (await fields(connections, key_prefix))[b"version"]
    assert deaf.state is State.CLOSED
    await fail(deaf)
    assert deaf.state.name == "OPEN"
    fault_proxy.resume()
    await until(deaf, State.CLOSED)
    assert (await fields(connections, key_prefix))[b"version"] == version
    assert other.state is State.CLOSED


async def test_one_failed_probe_opens_it_for_all_and_for_longer(
    make_breaker: MakeBreaker, connections: RedisConnections, key_prefix: str
) -> None:
    first, second = [await make_breaker(open_for=SOON) for _ in range(2)]
    await fail(first)
    await until(second, State.OPEN)

    async def failed() -> bool:
        try:
            await second.call(down)
        except CircuitOpen:
            return False
        except DownError:
            return True
        raise AssertionError("it is down")

    await eventually(failed, every=0.05, what="a probe")

    async def told() -> bool:
        return (await fields(connections, key_prefix)).get(b"openings") == b"2"

    await eventually(told)
    await asyncio.sleep(0.05)
    with pytest.raises(CircuitOpen):
        await first.call(ok)
    await let_through(first)


@pytest.mark.proves("CB4")
async def test_without_redis_it_works_alone_and_tells_the_others_afterwards(
    make_breaker: MakeBreaker, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    alone = await make_breaker(through_proxy, open_for=timedelta(seconds=1))
    other = await make_breaker()
    await fault_proxy_is_used(fault_proxy)
    fault_proxy.cut()
    await fail(alone)
    with pytest.raises(CircuitOpen):
        await alone.call(ok)
    for _ in range(2):
        await let_through(alone)
    assert alone.state is State.CLOSED
    assert other.state is State.CLOSED

    patient = await make_breaker(through_proxy, name="patient", open_for=timedelta(seconds=30))
    await fail(patient)
    await asyncio.sleep(0.5)  # longer than the patience: the attempt to tell it has failed
    fault_proxy.restore()
    told = await make_breaker(name="patient")
    await until(told, State.OPEN)


async def fault_proxy_is_used(fault_proxy: FaultProxy) -> None:
    async def two_links() -> bool:
        return len(fault_proxy.links) >= 2

    await eventually(two_links)


async def test_who_comes_late_and_who_missed_it_learn_it(
    make_breaker: MakeBreaker, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    first = await make_breaker()
    deaf = await make_breaker(through_proxy)
    await fault_proxy_is_used(fault_proxy)
    fault_proxy.cut()
    await fail(first)
    late = await make_breaker()
    await until(late, State.OPEN)
    assert 25 < late.retry_after <= 30
    assert deaf.state is State.CLOSED
    fault_proxy.restore()
    await until(deaf, State.OPEN)
    deaf.reset()
    for breaker in (first, late):
        await until(breaker, State.CLOSED)


@pytest.mark.proves("RL4")
async def test_its_key_has_a_ttl_in_every_state_and_versions_grow_over_a_wipe(
    make_breaker: MakeBreaker, connections: RedisConnections, key_prefix: str
) -> None:
    async def left(state: bytes) -> int:
        async def there() -> bool:
            return (await fields(connections, key_prefix)).get(b"state") == state

        await eventually(there)
        ttl: int = await connections.execute("PTTL", key_of(key_prefix))
        return ttl

    breaker = await make_breaker(open_for=SOON, successes=1)
    other = await make_breaker(open_for=SOON, successes=1)
    await fail(breaker)
    assert await left(b"open") > 0
    for _ in range(4):
        breaker.reset()
        assert await left(b"closed") > 0
        await asyncio.sleep(0.05)  # it knows so too
        await fail(breaker)
        assert await left(b"open") > 0
    await until(other, State.OPEN)
    version = int((await fields(connections, key_prefix))[b"version"])
    await connections.execute("DEL", key_of(key_prefix))
    late = await make_breaker(open_for=SOON, successes=1)  # knows of no version
    await fail(late)
    assert await left(b"open") > 0
    assert int((await fields(connections, key_prefix))[b"version"]) > version
    await let_through(breaker)
    assert await left(b"closed") > 0
    assert int((await fields(connections, key_prefix))[b"version"]) > version
    await until(other, State.CLOSED)


async def test_outside_of_its_context_it_works_alone_and_leaves_no_task(
    connections: RedisConnections, key_prefix: str
) -> None:
    before = asyncio.all_tasks()
    async with SharedBreakers(connections, keys=KeySpace(key_prefix)) as shared:
        breaker = CircuitBreaker("psp", shared=shared, failures=3, open_for=timedelta(milliseconds=10))
        await fail(breaker)
    await fail_again_and_recover(breaker)
    assert asyncio.all_tasks() == before


async def fail_again_and_recover(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        await asyncio.sleep(0.02)
        await breaker.call(ok)
    assert breaker.state is State.CLOSED
    await fail(breaker)
    breaker.reset()


async def test_wrong_use_is_refused(make_breaker: MakeBreaker, connections: RedisConnections) -> None:
    breaker = await make_breaker()
    with pytest.raises(RuntimeError, match="async with"):
        breaker.try_acquire()
    shared = SharedBreakers(connections, keys=KeySpace("test"))
    CircuitBreaker("psp", shared=shared)
    with pytest.raises(ValueError, match="already"):
        CircuitBreaker("psp", shared=shared)
    with pytest.raises(ValueError, match="patience"):
        SharedBreakers(connections, keys=KeySpace("test"), patience=timedelta(0))

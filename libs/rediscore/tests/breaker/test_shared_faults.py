"""What processes share is done once: replies get lost, callers go away while theirs is on the wire."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from rediscore.breaker import CircuitBreaker, CircuitOpen
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.scripts import Script
from rediscore.testing import FaultProxy, eventually

pytestmark = pytest.mark.proves("R11", "T1")

Hash = dict[bytes, bytes]
Look = Callable[[], Awaitable[Hash]]
MakeBreaker = Callable[..., Awaitable[CircuitBreaker]]

PATIENCE = timedelta(seconds=10)
SOON = timedelta(seconds=0.3)


async def down() -> None:
    raise ConnectionError


async def opened(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(ConnectionError):
            await breaker.call(down)


def leases(circuit: Hash) -> int:
    return sum(field.startswith(b"p") for field in circuit)


async def once(look: Look, condition: Callable[[Hash], bool]) -> Hash:
    """What Redis knows when the condition has come true, and a little later still is."""

    async def reached() -> bool:
        return condition(await look())

    await eventually(reached, within=40)
    await asyncio.sleep(0.2)
    return await look()


@pytest.fixture
def look(connections: RedisConnections, key_prefix: str) -> Look:
    async def fields() -> Hash:
        key = KeySpace(key_prefix).key("breaker", tag="breaker:psp")
        found: Hash = await connections.execute("HGETALL", key)
        return found

    return fields


@pytest.fixture(autouse=True)
async def _scripts_known(connections: RedisConnections) -> None:
    """What gets lost is then the reply to an effect, not a NOSCRIPT."""
    for name in ("look", "move", "probe", "settle"):
        await connections.commands.script_load(Script.load("rediscore.breaker", f"lua/{name}.lua").source)


@pytest.mark.proves("CB1")
async def test_lost_replies_open_lease_and_count_once(
    make_breaker: MakeBreaker, through_proxy: RedisConnections, fault_proxy: FaultProxy, look: Look
) -> None:
    breaker = await make_breaker(through_proxy, PATIENCE, open_for=SOON, probes=1, successes=3)
    await asyncio.sleep(0.2)  # it has looked what there is

    fault_proxy.swallow_reply(after=b"EVALSHA")
    await opened(breaker)
    circuit = await once(look, lambda circuit: circuit.get(b"state") == b"open")
    assert (fault_proxy.swallowed, circuit[b"openings"]) == (1, b"1")

    await asyncio.sleep(breaker.retry_after + 0.05)
    fault_proxy.swallow_reply(after=b"EVALSHA")
    gate = asyncio.Event()
    call = asyncio.create_task(breaker.call(gate.wait))
    circuit = await once(look, lambda circuit: fault_proxy.swallowed == 2 and leases(circuit) > 0)
    assert not call.done()  # its own lease is recognised: it is not refused
    assert (circuit[b"state"], leases(circuit)) == (b"half_open", 1)

    fault_proxy.swallow_reply(after=b"EVALSHA")
    gate.set()
    await call
    circuit = await once(look, lambda circuit: fault_proxy.swallowed == 3 and leases(circuit) == 0)
    assert circuit[b"succeeded"] == b"1"


@pytest.mark.proves("CB2")
async def test_a_call_cancelled_while_its_lease_is_on_the_wire_gives_it_back(
    make_breaker: MakeBreaker, through_proxy: RedisConnections, fault_proxy: FaultProxy, look: Look
) -> None:
    breaker = await make_breaker(through_proxy, PATIENCE, open_for=SOON, probes=1, successes=1)
    await opened(breaker)
    await once(look, lambda circuit: circuit.get(b"state") == b"open")
    await asyncio.sleep(breaker.retry_after + 0.05)
    seen = []

    async def on_swallow() -> None:
        seen.append(leases(await look()))

    fault_proxy.on_swallow = on_swallow
    fault_proxy.swallow_reply(after=b"EVALSHA")
    call = asyncio.create_task(breaker.call(asyncio.sleep, 60))
    await eventually(lambda: bool(seen), every=0.001)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (fault_proxy.swallowed, seen) == (1, [1])

    await once(look, lambda circuit: leases(circuit) == 0)

    async def admitted() -> bool:
        try:
            await breaker.call(asyncio.sleep, 0)
        except CircuitOpen:
            return False
        return True

    await eventually(admitted, within=40, every=0.05)

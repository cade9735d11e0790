import asyncio
from datetime import timedelta as td
from rediscore.keys import KeySpace
from rediscore.queue import PriorityQueue
import pytest
from rediscore.errors import StaleLease
async def test_it(connections, key_prefix):
    q = PriorityQueue(connections, "d", keys=KeySpace(key_prefix), head_start={"standard": td(0), "express": td(minutes=10)})
    assert await q.add("a", b"\xff1")
    assert not await q.add("a")
    assert await q.add("b", priority="express")
    assert await q.add("c", delay=td(milliseconds=300))
    print(await q.stats(), await q.peek(), await q.position("a"))
    c = await q.claim("w")
    print(c)
    assert c.entry_id == "b"
    await q.extend("b", c.token)
    await q.ack("b", c.token)
    await q.ack("b", c.token)
    with pytest.raises(StaleLease):
        await q.ack("b", c.token+1)
    c = await q.claim("w")
    await q.nack("a", c.token, reason="x", delay=td(0)); 
    await q.nack("a", c.token, reason="x", delay=td(0)); 
    c = await q.claim("w"); assert c.entry_id == "a" and c.attempt == 2
    t = asyncio.get_running_loop().time()
    c = await q.claim_wait("w", wait=td(seconds=3)); assert c.entry_id == "c"
    print(asyncio.get_running_loop().time()-t)
    async def later():
        await asyncio.sleep(0.2); await q.add("z"); return asyncio.get_running_loop().time()
    l = asyncio.create_task(later())
    c = await q.claim_wait("w", wait=td(seconds=3)); assert c.entry_id == "z"
    print("woke", asyncio.get_running_loop().time() - await l)
    assert await q.claim_wait("w", wait=td(seconds=0.3)) is None
    print(await q.contains(["a","b","c","q"]), await q.remove("a"), await q.remove("a"), await q.recover(), await q.dead())

"""Lanes under every interleaving that hypothesis finds."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rediscore.streams import NotActive, Outcome
from rediscore.streams.dispatcher import Dispatcher
from rediscore.streams.work import Work


def work(lane: str, number: int) -> Work:
    return Work(lane, f"{number}-0".encode(), b"", None, b"")


@pytest.mark.proves("R18")
@settings(max_examples=60, deadline=None)
@given(
    lanes=st.lists(st.sampled_from("abcd"), max_size=40),
    workers=st.integers(1, 5),
    batch=st.integers(1, 4),
    seed=st.integers(),
)
async def test_each_lane_ends_in_order_whatever_fails(
    lanes: list[str], workers: int, batch: int, seed: int
) -> None:
    chance = random.Random(seed)
    running: set[str] = set()
    ended: dict[str, list[bytes | None]] = defaultdict(list)

    async def run(works: Sequence[Work]) -> None:
        mine = {one.lane for one in works}
        assert not mine & running, "two workers in one lane"
        assert len(works) <= batch
        assert [one.number for one in works] == sorted(one.number for one in works)
        running.update(mine)
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        running.difference_update(mine)
        failed: set[str] = set()
        for one in works:
            if one.lane in failed:
                continue
            if chance.random() < 0.3:
                one.pause = chance.choice([0.0, 0.0001])
                one.alone = chance.random() < 0.3
                failed.add(one.lane)
                continue
            one.outcome = Outcome.HANDLED
            ended[one.lane].append(one.entry_id)

    dispatcher = Dispatcher(run, batch=batch)
    tasks = [asyncio.create_task(dispatcher.worker()) for _ in range(workers)]
    added: dict[str, list[bytes | None]] = defaultdict(list)
    for number, lane in enumerate(lanes):
        one = work(lane, number)
        added[lane].append(one.entry_id)
        dispatcher.put(one)
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await dispatcher.until(lambda: dispatcher.size == 0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert dict(ended) == dict(added)
    assert dispatcher.stalled
    assert dispatcher.parked == 0


async def test_handlers_that_never_wait_leave_the_loop_some_time() -> None:
    async def run(works: Sequence[Work]) -> None:
        works[0].outcome = Outcome.HANDLED

    dispatcher = Dispatcher(run)
    for number in range(1000):
        dispatcher.put(work(str(number), number))
    task = asyncio.create_task(dispatcher.worker())
    turns = 0
    while dispatcher.size:
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns >= 1000 // 50


async def test_a_closed_dispatcher_takes_nothing_and_tells_who_waits() -> None:
    async def run(works: Sequence[Work]) -> None:
        works[0].pause = 60.0

    dispatcher = Dispatcher(run)
    one = work("a", 1)
    one.done = asyncio.get_running_loop().create_future()
    dispatcher.put(one)
    task = asyncio.create_task(dispatcher.worker())
    await dispatcher.until(lambda: dispatcher.stalled)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    dispatcher.close(NotActive("over"))
    with pytest.raises(NotActive, match="over"):
        await one.done
    with pytest.raises(NotActive, match="over"):
        dispatcher.put(work("b", 2))

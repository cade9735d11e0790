"""One call that stands for others: unique by a key for a time, and ids that never meet by accident."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from rediscore.client import RedisConnections
from rediscore.retry import Backoff
from rediscore.tasks import Tasks, Worker
from rediscore.testing import FaultProxy, eventually, load_scripts

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]

SOON = timedelta(seconds=20)
AT_ONCE = Backoff(0.01, 0.02)


@pytest.mark.proves("Q10")
async def test_unique_for_a_time_whatever_became_of_the_first(tasks: Tasks, start: Start) -> None:
    runs: list[str] = []

    @tasks.task(keep_result=True, unique_for=timedelta(seconds=1.5), unique_by=lambda user, _why: user)
    async def greet(user: str, why: str) -> int:
        runs.append(why)
        return len(runs)

    first, second = await greet.delay("ada", "first"), await greet.delay("ada", "second")
    other = await greet.delay("bob", "other")
    assert first.id == second.id != other.id
    start()
    assert await second.result(timeout=SOON) == 1
    assert (await greet.delay("ada", "done by now")).id == first.id

    async def again() -> bool:
        return (await greet.delay("ada", "later")).id != first.id

    await eventually(again)
    await eventually(lambda: sorted(runs) == ["first", "later", "other"])


@pytest.mark.proves("Q10")
async def test_unique_by_all_arguments_unless_said_otherwise(tasks: Tasks) -> None:
    @tasks.task(unique_for=SOON)
    async def greet(user: str, *, how: str = "") -> None: ...

    calls = await greet.delay_many([["ada"], ["ada"], ["bob"]])
    calls += [await greet.delay("ada", how="loud"), await greet.delay("ada", how="loud")]

    assert [call.id == calls[0].id for call in calls] == [True, True, False, False, False]
    assert (calls[3].id == calls[4].id, (await tasks.queue.stats()).ready) == (True, 3)
    with pytest.raises(ValueError, match="unique_by= needs unique_for="):
        tasks.task(unique_by=str)


@pytest.mark.proves("Q10")
async def test_unique_also_when_the_reply_is_lost_and_the_call_made_again(
    tasks: Tasks, through_proxy: RedisConnections, fault_proxy: FaultProxy
) -> None:
    away = Tasks(through_proxy, "jobs", keys=tasks.keys)

    @away.task(unique_for=SOON)
    async def greet(user: str) -> None: ...

    await load_scripts(through_proxy, "rediscore.queue")
    fault_proxy.swallow_reply(after=b"EVALSHA")
    call = await greet.delay("ada")  # sent again by itself
    again = await greet.delay("ada")  # and by the caller

    assert fault_proxy.swallowed == 1
    assert (again.id, (await tasks.queue.stats()).ready) == (call.id, 1)

"""The relay: positions without gaps, everything committed arrives, one at work, and Redis may forget."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.history import Row, history, stamped
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.testing import create_chassis_tables_now
from pizzeria_chassis.testing.relays import all_sent, at_work, entries, on_stream, positions, tell, up_to
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import OrderReady
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.streams.partitions import partition_of, stream_names
from rediscore.testing import FaultProxy, ServerUnderTest, eventually, patient_settings
from rediscore.testing.nursery import Nursery

PROCESS = Path(__file__).parent / "outbox_process.py"


@pytest.mark.proves("I5")
async def test_what_is_committed_arrives_with_its_position(
    database: Database, own_connections: RedisConnections
) -> None:
    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        for number in range(5):
            await tell(database, f"o-{number % 2}")
        await eventually(lambda: all_sent(database), what="all sent")
    assert await positions(own_connections) == up_to(5)
    async with database.read() as connection:
        feed = [event for _, event in map(stamped, await history(connection))]
    assert feed == await on_stream(own_connections), "feed and stream tell the same"


async def test_a_commit_wakes_the_relay(
    database: Database, own_connections: RedisConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pizzeria_chassis.outbox.POLL_SECONDS", 3600.0)
    relay = Relay(database, own_connections, streams=[KITCHEN])
    async with at_work(relay):
        await eventually(lambda: relay.leads)
        for number in range(3):
            await tell(database)
            await eventually(lambda: all_sent(database), what=f"event {number} sent without polling")


@pytest.mark.proves("I5", "I7")
async def test_positions_have_no_gap_when_transactions_commit_out_of_order(
    postgres_url: str, open_database: Callable[..., Database], own_connections: RedisConnections
) -> None:
    """The first to insert commits last, and one that took a number rolls back."""
    database = open_database(postgres_url)
    await create_chassis_tables_now(database)
    may_commit = asyncio.Event()
    inserted = asyncio.Event()

    async def slow(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="slow")
        await tx.write_outbox()
        tx._rows.clear()
        inserted.set()
        await may_commit.wait()

    async def rolled_back(tx: Transaction) -> None:
        await tx.append(OrderReady(), subject="lost")
        await tx.write_outbox()
        raise ValueError("no")

    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        first = asyncio.create_task(database.transact(slow))
        await inserted.wait()
        with pytest.raises(ValueError, match="no"):
            await database.transact(rolled_back)
        await tell(database, "quick-1")
        await tell(database, "quick-2")

        async def quick_ones_sent() -> bool:
            return len(await entries(own_connections)) == 2

        await eventually(quick_ones_sent, within=40)
        may_commit.set()
        await first
        await tell(database, "quick-3")
        await eventually(lambda: all_sent(database), within=40)
    events = await on_stream(own_connections)
    assert [event.position for event in events] == up_to(4)
    assert [event.subject for event in events] == ["quick-1", "quick-2", "slow", "quick-3"]


@pytest.mark.proves("I5", "I7")
async def test_two_relays_are_never_at_work_together(
    database: Database,
    database_url: str,
    open_database: Callable[..., Database],
    own_connections: RedisConnections,
) -> None:
    replica = open_database(database_url)
    one = Relay(database, own_connections, streams=[KITCHEN])
    two = Relay(replica, own_connections, streams=[KITCHEN])
    async with at_work(one, two):
        for number in range(40):
            await tell(database if number % 2 else replica, f"o-{number % 3}")
            assert not (one.leads and two.leads)
        await eventually(lambda: all_sent(database), within=40)
        assert one.leads != two.leads
        leader, other = (one, two) if one.leads else (two, one)
        await leader.stop()
        await tell(database)
        await eventually(lambda: all_sent(database), what="the other takes over")
        assert other.leads
    assert await positions(own_connections) == up_to(41), "each event once, in order"


@pytest.mark.proves("I5")
async def test_a_paused_leader_loses_the_lead(
    database_url: str,
    open_database: Callable[..., Database],
    own_connections: RedisConnections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pizzeria_chassis.leadership.SILENCE_SECONDS", 1)
    monkeypatch.setattr("pizzeria_chassis.leadership.TERM", timedelta(seconds=1))
    database, replica = open_database(database_url), open_database(database_url)
    await create_chassis_tables_now(database)
    paused = Relay(database, own_connections, streams=[KITCHEN])

    async def leads() -> bool:
        with contextlib.suppress(DatabaseUnavailable):  # a busy machine: its term was over
            await paused._round()
        return paused.leads

    await eventually(leads, within=40, what="it leads")
    async with at_work(Relay(replica, own_connections, streams=[KITCHEN])):
        await tell(replica)
        await eventually(lambda: all_sent(replica), within=40, what="the other takes over")
        await tell(replica)
        with pytest.raises(DatabaseUnavailable):
            # It wakes up and believes to lead: it cannot give positions.
            await paused._give_positions([Row(99, KITCHEN, "o-1", "{}", None)])
        await eventually(lambda: all_sent(replica))
    await paused._step_down()
    assert await positions(own_connections) == up_to(2)


@pytest.mark.proves("I5", "I9")
async def test_two_processes_on_one_sqlite_file_and_the_leader_is_killed(
    nursery: Nursery,
    sqlite_url: str,
    open_database: Callable[..., Database],
    own_redis: RedisSettings,
    redis_url: str,
    own_connections: RedisConnections,
) -> None:
    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    processes = [await nursery.start(PROCESS, "relay", sqlite_url, redis_url, own_redis.db) for _ in range(2)]
    try:
        for process in processes:
            assert await process.stdout.readuntil(b"running\n")
        for number in range(60):
            await tell(database, f"o-{number % 3}")
        await eventually(lambda: all_sent(database), within=40)
        assert await positions(own_connections) == up_to(60), "two at work would have sent some twice"

        for number in range(30):
            await tell(database, f"o-{number % 3}")
        processes[0].send_signal(signal.SIGKILL)
        await processes[0].wait()
        for number in range(30):
            await tell(database, f"o-{number % 3}")
        await eventually(lambda: all_sent(database), within=40)
        assert sorted(set(await positions(own_connections)), key=lambda p: p or 0) == up_to(120)
        processes[1].send_signal(signal.SIGTERM)
        assert await processes[1].wait() == 0
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.proves("I5", "I9")
async def test_killed_between_commit_and_relay(
    nursery: Nursery, database: Database, database_url: str, own_connections: RedisConnections
) -> None:
    process = await nursery.start(PROCESS, "commit", database_url, 7)
    assert await process.wait() == -signal.SIGKILL
    assert await positions(own_connections) == [], "the fault happened: nothing was sent"
    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        await eventually(lambda: all_sent(database), within=40)
    events = await on_stream(own_connections)
    assert [event.position for event in events] == up_to(7)
    assert [event.sequence for event in events] == up_to(7)


class _PowerCutError(Exception):
    """The process ends here."""


@pytest.mark.proves("I5")
@pytest.mark.parametrize("moment", ["_publish", "_mark_sent"])
async def test_cut_off_in_the_middle_of_a_turn(
    moment: str, database: Database, own_connections: RedisConnections, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After positions were given and before all is marked as sent: nothing lost, order kept."""
    broken = Relay(database, own_connections, streams=[KITCHEN])

    async def off(*_: object) -> None:
        raise _PowerCutError

    await tell(database, "a")
    await tell(database, "b")
    monkeypatch.setattr(broken, moment, off)
    with pytest.raises(_PowerCutError):
        await broken._round()
    assert not await all_sent(database)
    await tell(database, "a")
    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        await eventually(lambda: all_sent(database), within=40)
    found = await positions(own_connections)
    assert found == (up_to(3) if moment == "_publish" else [1, 2, 1, 2, 3])


@pytest.mark.proves("I5")
@pytest.mark.parametrize("kept", [0, 4])
async def test_a_stream_that_lost_its_end_is_filled_again(
    kept: int, database: Database, own_connections: RedisConnections
) -> None:
    relay = Relay(database, own_connections, streams=[KITCHEN])
    async with at_work(relay):
        for number in range(10):
            await tell(database, f"o-{number % 3}")
        await eventually(lambda: all_sent(database), within=40)
        lost = [entry_id for entry_id, _ in await entries(own_connections)][kept:]
        await own_connections.commands.xdel(KITCHEN, *lost)
        if kept == 0:
            await own_connections.commands.delete(KITCHEN)
        assert await positions(own_connections) == up_to(kept), "the fault happened"

        async def refilled() -> bool:
            return await positions(own_connections) == up_to(10)

        await eventually(refilled, within=40, what="the end is back")


@pytest.mark.proves("I5")
async def test_a_restarted_relay_fills_a_stream_that_was_wiped_meanwhile(
    database: Database, own_connections: RedisConnections
) -> None:
    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        for _ in range(3):
            await tell(database)
        await eventually(lambda: all_sent(database), within=40)
    await own_connections.commands.delete(KITCHEN)
    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):

        async def refilled() -> bool:
            return await positions(own_connections) == up_to(3)

        await eventually(refilled, within=40)


async def test_entries_of_others_at_the_end_do_not_look_like_a_loss(
    database: Database, own_connections: RedisConnections
) -> None:
    relay = Relay(database, own_connections, streams=[KITCHEN])
    async with at_work(relay):
        for _ in range(3):
            await tell(database)
        await eventually(lambda: all_sent(database), within=40)
        await own_connections.commands.xadd(KITCHEN, {"__data__": "not an event"})
        relay._next_check = 0.0
        await eventually(lambda: relay._next_check > 0.0, what="the end was compared")
        assert len(await entries(own_connections)) == 4


@pytest.mark.proves("I1", "I5")
async def test_redis_away_then_back(
    sqlite_url: str, open_database: Callable[..., Database], disposable_server: ServerUnderTest
) -> None:
    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    connections = RedisConnections(patient_settings(disposable_server.url))
    relay = Relay(database, connections, streams=[KITCHEN])
    async with at_work(relay):
        await tell(database)
        await eventually(lambda: all_sent(database), within=40)
        await asyncio.to_thread(disposable_server.stop)
        await tell(database)
        await tell(database)
        await eventually(
            lambda: relay.checks()["outbox"].status == "degraded", within=40, what="the check tells"
        )
        assert "2 events wait" in relay.checks()["outbox"].reason
        await asyncio.to_thread(disposable_server.start)
        await eventually(lambda: all_sent(database), within=40, what="normal again within 10 s")
        await eventually(lambda: relay.checks()["outbox"].status == "ok")
        assert set(await positions(connections)) >= {2, 3}
    await connections.aclose()


@pytest.mark.proves("I9")
async def test_a_lost_reply_repeats_an_entry_and_loses_none(
    sqlite_url: str, open_database: Callable[..., Database], fault_proxy: FaultProxy, own_redis: RedisSettings
) -> None:
    database = open_database(sqlite_url)
    await create_chassis_tables_now(database)
    through_proxy = own_redis.model_copy(update={"host": "127.0.0.1", "port": fault_proxy.port})
    connections = RedisConnections(through_proxy)
    async with at_work(Relay(database, connections, streams=[KITCHEN])):
        await tell(database)
        await eventually(lambda: all_sent(database), within=40)
        fault_proxy.swallow_reply(after=b"XADD")
        await tell(database)
        await eventually(lambda: all_sent(database), within=40)
        assert await positions(connections) == [1, 2, 2], "the entry was added, the reply was lost"
    await connections.aclose()


async def test_partitions_take_subjects_in_sequence(
    database: Database, own_connections: RedisConnections
) -> None:
    async with at_work(Relay(database, own_connections, streams=[KITCHEN], partitions=3)):
        for number in range(24):
            await tell(database, f"o-{number % 8}")
        await eventually(lambda: all_sent(database), within=40)
    seen: dict[str, list[int | None]] = {}
    for index, name in enumerate(stream_names(KITCHEN, 3)):
        for event in await on_stream(own_connections, name):
            assert partition_of(event.subject, 3) == index
            seen.setdefault(event.subject, []).append(event.sequence)
    assert seen == {f"o-{number}": [1, 2, 3] for number in range(8)}


async def test_what_was_committed_before_stop_is_sent_by_stop(
    database: Database, own_connections: RedisConnections
) -> None:
    relay = Relay(database, own_connections, streams=[KITCHEN])
    async with at_work(relay):
        await eventually(lambda: relay.leads)
        for _ in range(5):
            await tell(database)
    assert await all_sent(database)

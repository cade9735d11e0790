"""Leaders that die or lose their session in mid-batch, and writers whose commits overtake each other."""

import asyncio
import json
import random
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pizzeria_chassis.database import Database
from pizzeria_chassis.errors import DatabaseUnavailable
from pizzeria_chassis.leadership import leadership_for
from pizzeria_chassis.outbox import Relay
from pizzeria_chassis.tables import outbox
from pizzeria_chassis.testing import create_chassis_tables_now
from pizzeria_chassis.testing.relays import all_sent, at_work, on_stream, positions, tell, up_to
from pizzeria_contracts.streams import KITCHEN
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings
from rediscore.testing import eventually
from sqlalchemy import QueuePool, select, text

PROCESS = Path(__file__).parent / "outbox_process.py"


@asynccontextmanager
async def leader_that_dies(moment: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that leads, until it is about to do what ``moment`` names."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROCESS), "relay", *arguments, moment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readuntil(b"running\n")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def placed(database: Database) -> list[Any]:
    """The outbox in the order of its positions."""
    async with database.read() as connection:
        return list((await connection.execute(select(outbox).order_by(outbox.c.position))).all())


async def whole(database: Database) -> bool:
    """Return whether positions have no gap and, in their order, sequences of a subject have none."""
    rows, sequences = await placed(database), Counter[str]()
    for row in rows:
        sequences[row.subject] += 1
        if row.sequence != sequences[row.subject]:
            return False
    return [row.position for row in rows] == up_to(len(rows))


@pytest.mark.proves("I5", "I7", "I9")
@pytest.mark.parametrize(
    ("moment", "batch_comes"), [("_publish", 1), ("_mark_sent", 2)], ids=["placed", "added"]
)
async def test_a_leader_killed_in_mid_batch(
    moment: str,
    batch_comes: int,
    database: Database,
    database_url: str,
    own_redis: RedisSettings,
    redis_url: str,
    own_connections: RedisConnections,
) -> None:
    """Killed after positions were given, and after XADD but before that was noted; a standby takes over."""
    standby = Relay(database, own_connections, streams=[KITCHEN])
    async with (
        leader_that_dies(moment, database_url, redis_url, str(own_redis.db)) as leader,
        at_work(standby),
    ):
        await tell(database, *(f"o-{number % 3}" for number in range(20)))
        assert await leader.wait() == -signal.SIGKILL
        await tell(database, *(f"o-{number % 3}" for number in range(10)))
        await eventually(lambda: all_sent(database), within=40)
    assert await whole(database)
    assert await positions(own_connections) == [*up_to(20) * batch_comes, *range(21, 31)]
    once = {row.event_id: row.position for row in await placed(database)}
    assert {event.id: event.position for event in await on_stream(own_connections)} == once, (
        "what came twice has the same id and place, so a consumer knows it"
    )


async def session_of_leader(database: Database, *, waiting: bool = False) -> int | None:
    """The process id of the session that leads, if there is one (that waits for a lock)."""
    query = (
        "SELECT a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' "
        "AND l.granted AND a.datname = current_database()"
    )
    async with database.read() as connection:
        return (
            await connection.execute(text(f"{query} AND a.wait_event_type = 'Lock'" if waiting else query))
        ).scalar()


async def end_session(database: Database, pid: int | None) -> None:
    async with database.read() as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})


@pytest.mark.proves("I5", "I7")
async def test_a_leader_whose_session_is_lost_while_it_gives_positions(
    postgres_url: str, open_database: Callable[..., Database], own_connections: RedisConnections
) -> None:
    """Its transaction is gone with the lock: it steps down, and the positions are given by another."""
    database, replica = open_database(postgres_url), open_database(postgres_url)
    await create_chassis_tables_now(database)
    await tell(database, "o-1", "o-2", "o-1")
    one, two = (Relay(each, own_connections, streams=[KITCHEN]) for each in (database, replica))
    together: list[bool] = []

    async def watch() -> None:
        while True:
            together.append(one.leads and two.leads)
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    async with replica.connect(replica.engines.writer) as connection, connection.begin() as holding:
        await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await connection.execute(text("SELECT id FROM outbox FOR UPDATE"))
        async with at_work(one):
            lost = await eventually(lambda: session_of_leader(replica, waiting=True), within=40)
            async with at_work(two):
                await end_session(replica, lost)

                async def led_again() -> bool:
                    return await session_of_leader(replica, waiting=True) not in (None, lost)

                await eventually(led_again, within=40)
                await holding.rollback()
                await eventually(lambda: all_sent(replica), within=40)
                await tell(replica, "o-2")
                await eventually(lambda: all_sent(replica), within=40)
                assert one.leads != two.leads
    watching.cancel()
    assert not any(together)
    for pool in (database.engines.writer.pool, replica.engines.writer.pool):
        assert isinstance(pool, QueuePool)
        assert pool.checkedout() == 0, "who stopped, standby or leader, holds no session"
    assert await whole(database)
    assert await positions(own_connections) == up_to(4), "each once: the lost session committed nothing"


@pytest.mark.proves("I5")
async def test_a_lost_session_is_not_replaced_by_one_without_the_lock(
    postgres_url: str, open_database: Callable[..., Database]
) -> None:
    """SQLAlchemy would reconnect, and the next transaction would commit while somebody else leads."""
    database = open_database(postgres_url)
    lead, other = leadership_for(database), leadership_for(open_database(postgres_url))
    try:
        assert await lead.acquire()
        assert not await other.acquire()
        await end_session(database, await session_of_leader(database))
        for _ in range(2):
            with pytest.raises(DatabaseUnavailable):
                await lead.confirm()
        assert await other.acquire()
    finally:
        await other.release()
        await lead.release()


_SLEEP = "BEGIN PERFORM pg_sleep(random() * 0.2); RETURN NULL; END"
_LINGER = (
    f"CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS '{_SLEEP}'",
    """CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON outbox DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION linger()""",
)
"""Makes a commit take its time once the rows have their ids, so that later ones overtake it."""


@pytest.mark.proves("I5", "I7", "I9")
async def test_many_writers_commit_out_of_order_and_no_event_is_skipped(
    database: Database, own_connections: RedisConnections
) -> None:
    overlapping = database.engines.flavour == "postgresql"
    if overlapping:
        async with database.connect(database.engines.writer) as connection, connection.begin():
            for statement in _LINGER:
                await connection.execute(text(statement))
    chance = random.Random(4)

    async def write(writer: int) -> None:
        for number in range(6):
            # A subject of its own, so that writers overlap, and often one that another wants as well.
            await tell(database, f"own-{writer}", *[f"shared-{writer // 2}"] * (number % 2))
            await asyncio.sleep(chance.uniform(0, 0.02))

    async with at_work(Relay(database, own_connections, streams=[KITCHEN])):
        await asyncio.gather(*(write(writer) for writer in range(8)))
        await eventually(lambda: all_sent(database), within=40)
    rows = await placed(database)
    assert len(rows) == 8 * (6 + 3)
    ids = [row.id for row in rows]
    assert (ids != sorted(ids)) == overlapping, "the fault happened: some were overtaken"
    assert await whole(database)
    told = [json.loads(row.envelope)["id"] for row in rows]
    assert [event.id for event in await on_stream(own_connections)] == told

"""Processes under one lock, one of them stopped while it holds it: the fence keeps its late write out."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from rediscore.testing import eventually
from rediscore.testing.nursery import Nursery

SCRIPT = Path(__file__).with_name("holder_process.py")
TTL = 1.0


@pytest.mark.proves("R10", "LK1", "LK6")
async def test_a_holder_that_was_paused_is_fenced_off(
    nursery: Nursery, redis_url: str, key_prefix: str, tmp_path: Path
) -> None:
    file = tmp_path / "resource.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE resource (token INTEGER)")
        database.execute("INSERT INTO resource VALUES (0)")
        database.execute(
            "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, token INTEGER, accepted INTEGER)"
        )

    def log() -> list[tuple[str, int, int]]:
        with closing(sqlite3.connect(file, timeout=30)) as database:
            return database.execute("SELECT who, token, accepted FROM log ORDER BY id").fetchall()

    processes = [
        await nursery.start(SCRIPT, redis_url, key_prefix, file, who) for who in ("pauses", "b", "c", "d")
    ]
    paused = processes[0]
    try:
        assert await asyncio.wait_for(paused.stdout.readline(), 30) == b"inside\n"
        paused.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2 * TTL)
        # The others have gone on in the meantime.
        await eventually(lambda: {who for who, *_ in log()} == {"pauses", "b", "c", "d"}, within=30)
        paused.send_signal(signal.SIGCONT)
        paused.stdin.write(b"go on\n")
        assert await asyncio.wait_for(paused.stdout.readline(), 30) == b"refused\n"
        assert await asyncio.wait_for(paused.stdout.readline(), 30) == b"lost\n"
        assert await asyncio.wait_for(paused.wait(), 30) == 0
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    entries = log()
    assert ("pauses", 0) in {(who, accepted) for who, _, accepted in entries}
    accepted = [token for _, token, accepted in entries if accepted]
    assert accepted == sorted(accepted)
    # Two processes never have the same token.
    assert len({(who, token) for who, token, _ in entries}) == len({token for _, token, _ in entries})

"""The resource behind the work, in SQL: it counts attempts, holders and effects, and nothing hinders doubles.

What makes an effect one is what every user of the library must do: the mark (item, newest token) is looked
at and written in the transaction of the effect. Attempts may repeat; effects may not.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

Verdict = Literal["go", "done", "stale"]

_TABLES = """
CREATE TABLE IF NOT EXISTS attempts (item TEXT, token INTEGER, worker TEXT, at REAL);
CREATE INDEX IF NOT EXISTS ix_attempts ON attempts (item);
CREATE TABLE IF NOT EXISTS holds (
    item TEXT, token INTEGER, worker TEXT, from_ms INTEGER, until_ms INTEGER, ended INTEGER
);
CREATE INDEX IF NOT EXISTS ix_holds ON holds (item, token);
CREATE TABLE IF NOT EXISTS marks (item TEXT PRIMARY KEY, token INTEGER, done INTEGER);
CREATE TABLE IF NOT EXISTS effects (item TEXT, subject TEXT, n INTEGER, token INTEGER, worker TEXT, at REAL);
CREATE TABLE IF NOT EXISTS refused (item TEXT, token INTEGER, worker TEXT, at REAL);
"""


class Effect(NamedTuple):
    item: str
    subject: str = ""
    n: int = 0
    token: int = 0


class Hold(NamedTuple):
    """From when to when a worker surely held an item, by the server's clock. `ended`: it gave it up."""

    item: str
    token: int
    worker: str
    from_ms: int
    until_ms: int
    ended: bool


class Ledger:
    """One SQLite file, shared by the workers of one kind. All calls block; call them in a thread."""

    def __init__(self, file: Path, worker: str = "") -> None:
        self._worker = worker
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(file, timeout=20, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")  # kill -9 loses nothing of it, a power cut may
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise

    def begin(self, item: str, token: int = 0) -> tuple[Verdict, int]:
        """Note an attempt; whether it may begin, and its number. The newest token refuses older ones."""
        with self._transaction() as sql:
            self._insert(sql, "attempts", item, token, self._worker, time.time())
            attempts = sql.execute("SELECT count(*) FROM attempts WHERE item = ?", (item,)).fetchone()[0]
            newest, done = self._mark(sql, item)
            if done:
                return "done", attempts
            if token < newest:
                self._insert(sql, "refused", item, token, self._worker, time.time())
                return "stale", attempts
            sql.execute(
                "INSERT INTO marks VALUES (?, ?, 0) ON CONFLICT (item) DO UPDATE SET token = excluded.token",
                (item, token),
            )
            return "go", attempts

    def effect(self, effects: Sequence[Effect]) -> None:
        """Have the effects that were not had before, and note them as done, in one transaction."""
        with self._transaction() as sql:
            for item, subject, n, token in effects:
                newest, done = self._mark(sql, item)
                if done or token < newest:
                    self._insert(sql, "refused", item, token, self._worker, time.time())
                    continue
                self._insert(sql, "effects", item, subject, n, token, self._worker, time.time())
                sql.execute(
                    "INSERT INTO marks VALUES (?, ?, 1) "
                    "ON CONFLICT (item) DO UPDATE SET token = excluded.token, done = 1",
                    (item, token),
                )

    def held(self, item: str, token: int, from_ms: int, until_ms: int) -> None:
        with self._transaction() as sql:
            self._insert(sql, "holds", item, token, self._worker, from_ms, until_ms, 0)

    def extended(self, item: str, token: int, until_ms: int) -> None:
        with self._transaction() as sql:
            sql.execute("UPDATE holds SET until_ms = ? WHERE item = ? AND token = ?", (until_ms, item, token))

    def giving_up(self, item: str, token: int) -> None:
        """Say so before the lease is given back: from then on it proves nothing."""
        with self._transaction() as sql:
            sql.execute("UPDATE holds SET ended = 1 WHERE item = ? AND token = ?", (item, token))

    # What the checks read

    def effects(self) -> list[Effect]:
        """In the order of their commits."""
        return [
            Effect(*row) for row in self._all("SELECT item, subject, n, token FROM effects ORDER BY rowid")
        ]

    def holds(self) -> list[Hold]:
        rows = self._all("SELECT item, token, worker, from_ms, until_ms, ended FROM holds ORDER BY rowid")
        return [
            Hold(item, token, worker, start, until, bool(ended))
            for item, token, worker, start, until, ended in rows
        ]

    def attempts(self) -> dict[str, int]:
        return dict(self._all("SELECT item, count(*) FROM attempts GROUP BY item"))

    def workers(self) -> int:
        """How many workers had an effect."""
        return int(self._all("SELECT count(DISTINCT worker) FROM effects")[0][0])

    def journey(self, item: str) -> list[tuple[float, str]]:
        """What is known of one item: (time, sentence)."""
        told: list[tuple[float, str]] = []
        for table, verb in (("attempts", "attempt"), ("effects", "EFFECT"), ("refused", "refused")):
            query = f"SELECT at, worker, token FROM {table} WHERE item = ?"  # noqa: S608  names of ours
            told += [
                (at, f"{verb} by {worker}, token {token}") for at, worker, token in self._all(query, item)
            ]
        query = "SELECT from_ms, worker, token, until_ms, ended FROM holds WHERE item = ?"
        for start, worker, token, until, ended in self._all(query, item):
            how = "given up" if ended else f"surely until +{until - start} ms"
            told.append((start / 1000, f"held by {worker}, token {token}, {how}"))
        return sorted(told)

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @staticmethod
    def _insert(sql: sqlite3.Connection, table: str, *values: Any) -> None:
        places = ", ".join("?" * len(values))
        sql.execute(f"INSERT INTO {table} VALUES ({places})", values)  # noqa: S608  names of ours

    @staticmethod
    def _mark(sql: sqlite3.Connection, item: str) -> tuple[int, bool]:
        row = sql.execute("SELECT token, done FROM marks WHERE item = ?", (item,)).fetchone()
        return (0, False) if row is None else (row[0], bool(row[1]))

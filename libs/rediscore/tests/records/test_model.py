"""Records against a dictionary: any verbs in any order, expiry and a clock that jumps included."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.records import HashRecords, Record, RecordMissing, VersionConflict
from rediscore.requests import request_id
from rediscore.testing import patient_settings

T = TypeVar("T")

IDS = st.sampled_from(["a", "b"])
NUMBERS = st.integers(-3, 3)


@dataclass(frozen=True)
class Pair:
    x: int
    y: int = 0


class RecordsMachine(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000_000
        self.records = HashRecords(
            self.connections,
            request_id(),
            Pair,
            keys=KeySpace(self.prefix),
            ttl=timedelta(hours=1),
            now_ms=lambda: self.now,
        )
        self.model: dict[str, Record[Pair]] = {}
        self.versions: set[tuple[str, int]] = set()
        self.floor = self.now

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def kept(self, record_id: str, value: Pair, version: int) -> None:
        assert (record_id, version) not in self.versions, "versions never come again"
        self.versions.add((record_id, version))
        self.model[record_id] = Record(value, version)

    def expected(self, record_id: str, how: str) -> int | None:
        known = self.model[record_id].version if record_id in self.model else 0
        return {"any": None, "right": known, "wrong": known + 1}[how]

    @rule(ms=st.sampled_from([1, 1000, -5000]))
    def time_jumps(self, ms: int) -> None:
        self.now = max(self.now + ms, self.floor)

    @rule(record_id=IDS, x=NUMBERS, how=st.sampled_from(["any", "right", "wrong"]))
    def write(self, record_id: str, x: int, how: str) -> None:
        work = self.records.write(record_id, Pair(x), expected_version=self.expected(record_id, how))
        if how == "wrong":
            with pytest.raises(VersionConflict):
                self.run(work)
        else:
            self.kept(record_id, Pair(x), self.run(work))

    @rule(
        record_id=IDS,
        fields=st.dictionaries(st.sampled_from(["x", "y"]), NUMBERS, min_size=1),
        how=st.sampled_from(["any", "right", "wrong"]),
    )
    def update(self, record_id: str, fields: dict[str, Any], how: str) -> None:
        expected = self.expected(record_id, how)
        work = self.records.update(record_id, expected_version=expected, **fields)
        if record_id not in self.model:
            with pytest.raises(RecordMissing):
                self.run(work)
        elif how == "wrong":
            with pytest.raises(VersionConflict):
                self.run(work)
        else:
            self.kept(record_id, replace(self.model[record_id].value, **fields), self.run(work))

    @rule(record_id=IDS)
    def delete(self, record_id: str) -> None:
        assert self.run(self.records.delete(record_id)) is (record_id in self.model)
        self.gone(record_id)

    @rule(record_id=IDS)
    def expire(self, record_id: str) -> None:
        key = self.records._key(record_id)
        self.run(self.connections.execute("PEXPIRE", key, 0))
        self.gone(record_id)

    def gone(self, record_id: str) -> None:
        """What is gone leaves only the clock to keep versions growing: it may not be set back behind that."""
        self.model.pop(record_id, None)
        self.floor = self.now = max([self.now, *(version // 1000 for _, version in self.versions)]) + 1

    @invariant()
    def same(self) -> None:
        for record_id in ("a", "b"):
            assert self.run(self.records.read(record_id)) == self.model.get(record_id)


@pytest.mark.proves("R9")
def test_records_are_what_the_model_says(redis_url: str, key_prefix: str) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (RecordsMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=15, stateful_step_count=25, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()

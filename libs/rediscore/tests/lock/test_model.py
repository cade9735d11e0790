"""The lock's scripts against a model of them: any verbs of several owners, in any order, at any time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.lock.verbs import Verbs
from rediscore.testing import patient_settings

T = TypeVar("T")

HEARTBEAT, LEASE = 60_000, 100_000
OWNERS = ["a", "b", "c", "d"]

owners = st.sampled_from(OWNERS)


class LockMachine(RuleBasedStateMachine):
    """Verbs on the lock and on a model of it in plain Python. The test sets what they run on."""

    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str

    def __init__(self) -> None:
        super().__init__()
        self.name = uuid4().hex
        self.now = self.latest = 1_800_000_000_000
        self.wiped_at = 0
        self.token = self.newest = 0
        self.last_holder: str | None = None
        self.lease_end = 0
        self.arrivals: dict[str, int] = {}
        self.beats: dict[str, int] = {}
        self.released = True
        self.gone: list[Verbs] = []
        self.verbs = {name: self.new(name) for name in OWNERS}

    def new(self, name: str) -> Verbs:
        owner = f"nowhere#{name}{uuid4().hex}"
        return Verbs(
            self.connections, KeySpace(self.prefix), self.name, owner, now_us=lambda: self.now * 1000
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    # The model

    @property
    def holder(self) -> str | None:
        return self.last_holder if self.lease_end > self.now else None

    @property
    def line(self) -> list[str]:
        """By the time of arrival; the server breaks ties by the owner's text."""
        return sorted(self.arrivals, key=lambda name: (self.arrivals[name], self.verbs[name].owner))

    def alive_until(self, name: str) -> int:
        return max(self.arrivals[name] + HEARTBEAT, self.beats.get(name, 0))

    def leave(self, name: str) -> None:
        self.arrivals.pop(name, None)
        self.beats.pop(name, None)

    def give(self, name: str, lease_end: int) -> None:
        self.token = max(self.token + 1, self.now * 1000)
        assert self.token > self.newest
        self.newest = self.token
        self.last_holder, self.lease_end, self.released = name, lease_end, False

    def next_in_line(self) -> tuple[str, int] | None:
        """The first who is alive leaves the line; those before it are dropped."""
        for name in self.line:
            alive_until = self.alive_until(name)
            self.leave(name)
            if alive_until > self.now:
                return name, alive_until
        return None

    def hand_over(self) -> bool:
        if (first := self.next_in_line()) is not None:
            self.give(*first)
        return first is not None

    def acquired(self, name: str, stand_in_line: bool) -> int:
        if self.holder == name:
            self.lease_end = self.now + LEASE
            return self.token
        if self.holder is None:
            first = None if self.released else self.next_in_line()
            if first is None or first[0] == name:
                self.give(name, self.now + LEASE)
                return self.token
            self.give(*first)
        if stand_in_line:
            if name not in self.arrivals:
                self.arrivals[name] = self.now
            elif self.now - self.arrivals[name] > HEARTBEAT / 6:
                self.beats[name] = self.now + HEARTBEAT
        return 0

    # What happens

    @rule(ms=st.sampled_from([0, 1, 1_000, 30_000, 60_000, 61_000, 100_000, 3_700_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.latest = max(self.now, self.latest)

    @rule(ms=st.sampled_from([1, 30_000, 3_600_000]))
    def clock_jumps_back(self, ms: int) -> None:
        """Behind a loss of the key it may not go: there only the clock keeps tokens growing."""
        self.now = max(self.now - ms, self.wiped_at)

    @rule(name=owners, stand_in_line=st.sampled_from([True, True, False]), twice=st.booleans())
    def acquire(self, name: str, stand_in_line: bool, twice: bool) -> None:
        token, left = self.run(self.verbs[name].acquire(LEASE, stand_in_line=stand_in_line))
        assert token == self.acquired(name, stand_in_line)
        assert left == (0 if token else (self.lease_end - self.now) / 1000)
        if twice:
            again, _ = self.run(self.verbs[name].acquire(LEASE, stand_in_line=stand_in_line))
            assert again == self.acquired(name, stand_in_line) == token

    @rule(name=owners)
    def extend(self, name: str) -> None:
        assert self.run(self.verbs[name].extend(LEASE)) is (self.holder == name)
        if self.holder == name:
            self.lease_end = self.now + LEASE

    @rule(name=owners, twice=st.booleans(), in_doubt=st.booleans())
    def release(self, name: str, twice: bool, in_doubt: bool) -> None:
        verbs = self.verbs[name]
        if in_doubt:
            verbs._sent += 1  # a request without an answer
            self.gone.append(verbs)
            self.verbs[name] = self.new(name)
        assert self.run(verbs.release()) is (self.holder == name)
        held = self.holder == name
        if not held:
            self.leave(name)
        if (held or not (self.holder or self.released)) and not self.hand_over() and held:
            self.last_holder, self.lease_end, self.released = None, 0, True
        if twice:
            assert not self.run(verbs.release())

    @rule(data=st.data(), stand_in_line=st.booleans())
    def late_request(self, data: st.DataObject, stand_in_line: bool) -> None:
        """Of one that gave up: it gets nothing, and leaves no trace."""
        if self.gone:
            verbs = data.draw(st.sampled_from(self.gone))
            assert self.run(verbs.acquire(LEASE, stand_in_line=stand_in_line)) == (0, 0)

    @rule()
    def lose_the_key(self) -> None:
        """The lock alone is deleted: another may have it, and tokens grow all the same."""
        self.run(self.connections.execute("DEL", self.verbs["a"]._keys[0]))
        self.lease_end = self.token = 0
        self.released = False
        self.latest += 1_000
        self.now = self.wiped_at = self.latest

    @invariant()
    def same_line_and_holder(self) -> None:
        held, line, heartbeats, _ = self.verbs["a"]._keys
        names = {verbs.owner: name for name, verbs in self.verbs.items()}
        in_line = self.run(self.connections.execute("ZRANGE", line, 0, -1))
        assert [names[owner.decode()] for owner in in_line] == self.line
        beats = [names[owner.decode()] for owner in self.run(self.connections.execute("HKEYS", heartbeats))]
        assert set(self.beats) <= set(beats) <= set(self.line)
        value = self.run(self.connections.execute("GET", held))
        token, lease_end, owner = value.decode().split(":") if value else (0, 0, "")
        assert int(token) == self.token
        assert int(lease_end) == self.lease_end
        if self.holder is not None:
            assert names[owner] == self.holder


@pytest.mark.proves("R10", "LK1", "LK3", "LK4", "LK7")
def test_lock_against_its_model(redis_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long in real time, because the clock of the test does not move the server's.
    monkeypatch.setattr("rediscore.lock.verbs.HEARTBEAT_MS", HEARTBEAT)
    with asyncio.Runner() as runner:
        LockMachine.loop = runner.get_loop()
        LockMachine.connections = RedisConnections(patient_settings(redis_url))
        LockMachine.prefix = key_prefix
        try:
            run_state_machine_as_test(
                LockMachine, settings=settings(max_examples=25, stateful_step_count=40, deadline=None)
            )
        finally:
            runner.run(LockMachine.connections.aclose())

"""The queue against a model of it: any verbs of many workers, in any order, at any time.

The model is `model.py`: a dictionary of entries, and the rules. Workers vanish with what they hold,
replies get lost and verbs are sent again, leases run out, the clock jumps both ways, all is wiped. After each
step the queue must hold the same entries in the same states and order, and its keys must fit together.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rediscore.client import RedisConnections
from rediscore.errors import QueueFull, StaleLease
from rediscore.keys import KeySpace
from rediscore.queue import Claim, PriorityQueue
from rediscore.retry import Backoff
from rediscore.testing import patient_settings

from .model import (
    CAPACITY,
    HEAD_START,
    LEASE,
    MAX_ATTEMPTS,
    MAX_RECOVERIES,
    MEMORY,
    PAUSES,
    RETENTION,
    Entry,
    Model,
)

T = TypeVar("T")

IDS = ["a", "b", "c", "d", "e", "f", "g", "h"]
WORKERS = ["oven", "grill", "fryer", "wok", "steamer", "smoker"]


class QueueMachine(RuleBasedStateMachine):
    """Verbs on the queue and on the model. `connect` is set by the test."""

    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.keys = KeySpace(self.prefix)
        self.name = uuid4().hex
        self.queue = PriorityQueue(
            self.connections,
            self.name,
            keys=self.keys,
            head_start={name: timedelta(milliseconds=ms) for name, ms in HEAD_START.items()},
            lease=timedelta(milliseconds=LEASE),
            capacity=CAPACITY,
            max_attempts=MAX_ATTEMPTS,
            max_recoveries=MAX_RECOVERIES,
            backoff=Backoff(1, 4, jitter=False),
            memory=timedelta(milliseconds=MEMORY),
            dead_retention=timedelta(milliseconds=RETENTION),
            now_ms=lambda: self.model.now,
        )
        self.claims: list[Claim] = []  # all that were ever handed out: most are stale
        self.last_claim_id: dict[str, str] = {}
        self.newest_token = 0
        self.owners: dict[int, str] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def key(self, name: str) -> str:
        return self.keys.key("queue", name, tag=f"{self.prefix}:{self.name}")

    def teardown(self) -> None:
        self.lose_all_keys()

    def lose_all_keys(self) -> None:
        sets = ("ready", "delayed", "leased", "dead", "done")
        names = [self.key(name) for name in (*sets, "entries", "claims", "marker")]
        self.run(self.connections.commands.unlink(*names))  # type: ignore[arg-type]

    @initialize()
    def start(self) -> None:
        self.model.latest = self.model.now

    @rule(ms=st.sampled_from([1, 500, 1_000, 5_000, 10_000, 61_000, 3_600_000]))
    def time_passes(self, ms: int) -> None:
        self.model.now += ms
        self.model.latest = max(self.model.latest, self.model.now)

    @rule(ms=st.sampled_from([1, 2_000, 30_000, 3_600_000]))
    def clock_jumps_back(self, ms: int) -> None:
        """Behind a wipe it may not go: there only the clock keeps tokens growing (ADR 0011)."""
        self.model.now = max(self.model.now - ms, self.model.wiped_at)

    @rule(
        entry_id=st.sampled_from(IDS),
        priority=st.sampled_from(sorted(HEAD_START)),
        delay=st.sampled_from([0, 0, 0, 1_500, 20_000]),
        again=st.booleans(),
    )
    def add(self, entry_id: str, priority: str, delay: int, again: bool) -> None:
        known = self.model.knows(entry_id)
        full = len(self.model.of("ready", "delayed", "leased")) >= CAPACITY
        adding = self.queue.add(entry_id, priority=priority, delay=timedelta(milliseconds=delay))
        if full and not known:
            with pytest.raises(QueueFull):
                self.run(adding)
            return
        assert self.run(adding) is not known
        if not known:
            entry = self.model.entries[entry_id] = Entry("ready", 0, 0, self.model.now, priority)
            self.model.enter(entry, delay)
            self.model.begun[entry_id] += 1
        if again:  # the reply was lost
            assert not self.run(self.queue.add(entry_id, b"again", delay=timedelta(0)))

    @rule(
        worker=st.sampled_from(WORKERS),
        again=st.booleans(),
        most=st.integers(1, 3),
        data=st.data(),
    )
    def claim(self, worker: str, again: bool, most: int, data: st.DataObject) -> None:
        claim_id = self.last_claim_id.get(worker) if again else None
        claim_id = claim_id or uuid4().hex
        self.last_claim_id[worker] = claim_id
        done = data.draw(st.lists(st.sampled_from(self.claims), max_size=2)) if self.claims else []
        for claim in done:
            self.acked(claim)
        self.model.settle()
        same = [i for i in self.model.of("leased") if self.model.entries[i].claim_id == claim_id]
        expected = sorted(same, key=lambda i: self.model.entries[i].token or 0) or self.model.first(most)

        claims = self.run(self.queue.claim_many(worker, most, claim_id=claim_id, done=done))

        assert [claim.entry_id for claim in claims] == expected
        for claim in claims:
            entry = self.model.entries[claim.entry_id]
            assert claim.attempt == entry.failures + 1
            if same:
                assert claim.token == entry.token
            else:
                assert claim.token > self.newest_token
                self.newest_token = claim.token
                entry.state, entry.token, entry.claim_id = "leased", claim.token, claim_id
                entry.since = self.model.now + LEASE
            assert claim.lease_until.timestamp() * 1000 == entry.since
        self.claims += [claim for claim in claims if claim not in self.claims]
        self.owners.update((claim.token, worker) for claim in claims)

    @rule(worker=st.sampled_from(WORKERS))
    def worker_vanishes(self, worker: str) -> None:
        """Nobody will ever use its claims again, nor ask for them."""
        self.claims = [claim for claim in self.claims if self.owners[claim.token] != worker]
        self.last_claim_id.pop(worker, None)

    def acked(self, claim: Claim) -> bool:
        """The model's ack; whether it was one, now or before."""
        entry = self.holds(claim)
        if entry:
            self.model.answered(entry)
            self.model.over[claim.entry_id] += 1
            entry.state, entry.since, entry.ended = "done", self.model.now, None
        known = self.model.entries.get(claim.entry_id)
        return known is not None and known.state == "done" and known.token == claim.token

    def holds(self, claim: Claim) -> Entry | None:
        entry = self.model.entries.get(claim.entry_id)
        return entry if entry and entry.state == "leased" and entry.token == claim.token else None

    def repeats(self, claim: Claim, how: str) -> bool:
        entry = self.model.entries.get(claim.entry_id)
        return entry is not None and entry.ended == (claim.token, how)

    def expect(self, allowed: bool, verb: Callable[[], Coroutine[Any, Any, object]], *, times: int) -> None:
        """Sent more than once it does and answers the same."""
        for _ in range(times):
            if allowed:
                self.run(verb())
            else:
                with pytest.raises(StaleLease):
                    self.run(verb())

    @precondition(lambda self: self.claims)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        """All who were ever given one entry try: at most one holds it."""
        entry_id = data.draw(st.sampled_from(self.claims)).entry_id
        given = [claim for claim in self.claims if claim.entry_id == entry_id]
        held = self.run(self.queue.extend_many(given))
        assert held == [self.holds(claim) is not None for claim in given]
        assert sum(held) <= 1
        if True in held:
            self.model.entries[entry_id].since = self.model.now + LEASE

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), times=st.integers(1, 2))
    def ack(self, data: st.DataObject, times: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        allowed = self.acked(claim)
        self.expect(allowed, lambda: self.queue.ack(claim.entry_id, claim.token), times=times)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), delay=st.sampled_from([None, 0, 7_000]), times=st.integers(1, 2))
    def nack(self, data: st.DataObject, delay: int | None, times: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        entry = self.holds(claim)
        pause = None if delay is None else timedelta(milliseconds=delay)
        allowed = entry is not None or self.repeats(claim, "nack")
        self.expect(allowed, lambda: self.queue.nack(claim.entry_id, claim.token, delay=pause), times=times)
        if entry:
            self.model.end(entry, "nack")
            entry.failures += 1
            if entry.failures >= MAX_ATTEMPTS:
                self.model.die(entry)
            elif delay != 0:
                entry.state = "delayed"
                entry.since = self.model.now + (delay or PAUSES[entry.failures - 1])

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), times=st.integers(1, 2))
    def release(self, data: st.DataObject, times: int) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        entry = self.holds(claim)
        allowed = entry is not None or self.repeats(claim, "release")
        self.expect(allowed, lambda: self.queue.release(claim.entry_id, claim.token), times=times)
        if entry:
            self.model.end(entry, "release")

    @rule(entry_id=st.sampled_from(IDS))
    def remove(self, entry_id: str) -> None:
        held = entry_id in self.model.of("ready", "delayed", "leased", "dead")
        assert self.run(self.queue.remove(entry_id)) is held
        if held:
            self.model.answered(self.model.entries[entry_id])
            self.model.over[entry_id] += self.model.entries[entry_id].state != "dead"
            self.model.entries[entry_id] = Entry("done", 0, 0, self.model.now)

    @rule(entry_id=st.sampled_from(IDS), priority=st.sampled_from(sorted(HEAD_START)))
    def prioritise(self, entry_id: str, priority: str) -> None:
        held = entry_id in self.model.of("ready", "delayed", "leased", "dead")
        assert self.run(self.queue.prioritise(entry_id, priority)) is held
        if held:
            entry = self.model.entries[entry_id]
            entry.rank, entry.priority = entry.entered - HEAD_START[priority], priority

    @rule(entry_id=st.sampled_from(IDS))
    def hasten(self, entry_id: str) -> None:
        held = entry_id in self.model.of("ready", "delayed", "leased")
        assert self.run(self.queue.hasten(entry_id)) is held
        entry = self.model.entries.get(entry_id)
        if entry is not None and entry.state == "delayed":
            early = max(0, entry.entered - self.model.now)
            entry.entered, entry.rank, entry.state = entry.entered - early, entry.rank - early, "ready"

    @rule(ids=st.none() | st.lists(st.sampled_from(IDS), min_size=1, unique=True))
    def redrive(self, ids: list[str] | None) -> None:
        dead = [entry_id for entry_id in ids or IDS if entry_id in self.model.of("dead")]
        assert sorted(self.run(self.queue.redrive(ids))) == sorted(dead)
        order = ids or [entry.entry_id for entry in self.run(self.queue.peek()) if entry.entry_id in dead]
        for entry_id in [entry_id for entry_id in order if entry_id in dead]:
            entry = self.model.entries[entry_id]
            entry.failures = entry.recoveries = 0
            self.model.enter(entry, 0)
            self.model.begun[entry_id] += 1

    @rule()
    def recover(self) -> None:
        assert self.run(self.queue.recover()) == self.model.settle()

    @rule()
    def wipe(self) -> None:
        """All is lost, the counter of tokens too."""
        self.lose_all_keys()
        self.model.entries.clear()
        self.model.begun.clear()
        self.model.over.clear()
        self.model.clock = self.model.sequence = 0
        self.model.latest += 1_000
        self.model.now = self.model.wiped_at = self.model.latest

    @rule()
    def all_comes_to_its_end(self) -> None:
        """A worker that does what there is, until nothing is left: every life has had one end."""
        while self.model.of("ready", "delayed", "leased"):
            self.time_passes(LEASE)
            self.model.settle()
            expected = self.model.first(CAPACITY)
            claims = self.run(self.queue.claim_many("heir", CAPACITY))
            assert [claim.entry_id for claim in claims] == expected
            for claim in claims:
                assert claim.token > self.newest_token
                self.newest_token = claim.token
                entry = self.model.entries[claim.entry_id]
                entry.state, entry.token, entry.claim_id = "leased", claim.token, None
                assert self.acked(claim)
            assert all(self.run(self.queue.ack_many(claims)))
        assert self.model.over == self.model.begun

    @invariant()
    def same_states_and_order(self) -> None:
        model = self.model
        stats = self.run(self.queue.stats())
        assert [stats.ready, stats.delayed, stats.leased, stats.dead] == [
            len(model.of(state)) for state in ("ready", "delayed", "leased", "dead")
        ]
        order = model.order()
        assert [entry.entry_id for entry in self.run(self.queue.peek())] == order
        held = model.of("ready", "delayed", "leased", "dead")
        assert self.run(self.queue.contains(IDS)) == [entry_id in held for entry_id in IDS]
        if order:
            assert self.run(self.queue.position(order[-1])) == len(order) - 1

    @invariant()
    def keys_fit_together(self) -> None:
        """Every record is in exactly one set, and nothing else is anywhere."""
        audit = self.run(self.queue.audit())
        assert audit.faults == []
        assert audit.checked - 1 in (-1, len(self.model.entries))  # one is the queue's own, if it has begun
        claims = self.run(self.connections.execute("HKEYS", self.key("claims")))
        held = {entry.claim_id for entry in self.model.entries.values() if entry.claim_id}
        assert sorted(claim.decode() for claim in claims) == sorted(held)


def run_against_the_model(redis_url: str, key_prefix: str, *, examples: int, steps: int) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (QueueMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()


@pytest.mark.proves("R16", "I3", "Q1", "Q2", "Q4", "Q10", "Q11")
def test_queue_is_what_the_model_says(redis_url: str, key_prefix: str) -> None:
    run_against_the_model(redis_url, key_prefix, examples=25, steps=40)


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.proves("R16", "I3", "Q1", "Q2", "Q4", "Q10", "Q11")
def test_queue_is_what_the_model_says_for_long(redis_url: str, key_prefix: str) -> None:
    until = time.monotonic() + float(os.environ.get("SOAK_SECONDS", "120"))
    while time.monotonic() < until:
        run_against_the_model(redis_url, key_prefix, examples=10, steps=100)

"""Sessions against a dictionary: any verbs of two users, in any order, at any time."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from rediscore.client import RedisConnections
from rediscore.keys import KeySpace
from rediscore.requests import request_id
from rediscore.sessions import SessionMissing, Sessions
from rediscore.testing import patient_settings

T = TypeVar("T")

# Long enough that no key expires on the server, whose time goes on.
IDLE, ABSOLUTE, MOST = 100_000, 350_000, 3
USERS = st.sampled_from(["ada", "bob"])


@dataclass
class Login:
    a: int = 0
    b: int = 0


@dataclass
class Known:
    """What the model knows of a session."""

    user: str
    data: Login
    end: int
    idle_until: int


class SessionsMachine(RuleBasedStateMachine):
    loop: asyncio.AbstractEventLoop
    connections: RedisConnections
    prefix: str

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_800_000_000_000
        self.sessions = Sessions(
            self.connections,
            request_id(),
            Login,
            keys=KeySpace(self.prefix),
            idle=timedelta(milliseconds=IDLE),
            absolute=timedelta(milliseconds=ABSOLUTE),
            most_per_user=MOST,
            now_ms=lambda: self.now,
        )
        self.model: dict[str, Known] = {}
        self.ids: list[str] = []  # all that there ever were

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    def alive(self, user: str) -> list[str]:
        return [i for i, known in self.model.items() if known.user == user and known.idle_until > self.now]

    def slide(self, known: Known) -> None:
        known.idle_until = min(self.now + IDLE, known.end)

    def expect(self, session_id: str, work: Coroutine[Any, Any, T]) -> T | None:
        """The session when it is alive, else SessionMissing."""
        if session_id in self.model:
            return self.run(work)
        with pytest.raises(SessionMissing):
            self.run(work)
        return None

    @rule(ms=st.sampled_from([5_000, 20_000, 99_999, 100_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms
        self.model = {i: known for i, known in self.model.items() if known.idle_until > self.now}

    @rule(user=USERS, a=st.integers(0, 9))
    def create(self, user: str, a: int) -> None:
        self.now += 1_001  # more than a hundredth of the idle time: no two end at once
        self.time_passes(0)
        session = self.run(self.sessions.create(user, Login(a)))
        others = sorted(self.alive(user), key=lambda i: self.model[i].idle_until)
        for surplus in others[: max(0, len(others) - MOST + 1)]:
            del self.model[surplus]
        self.model[session.id] = Known(user, Login(a), self.now + ABSOLUTE, self.now + IDLE)
        self.ids.append(session.id)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        self.now += 1_001
        self.time_passes(0)
        session_id = data.draw(st.sampled_from(self.ids))
        session = self.run(self.sessions.load(session_id))
        known = self.model.get(session_id)
        assert (session is None) is (known is None)
        if session is not None and known is not None:
            assert (session.user_id, session.data) == (known.user, known.data)
            self.slide(known)

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), field=st.sampled_from(["a", "b"]), value=st.integers(0, 9))
    def update(self, data: st.DataObject, field: str, value: int) -> None:
        self.now += 1_001
        self.time_passes(0)
        session_id = data.draw(st.sampled_from(self.ids))
        fields: dict[str, Any] = {field: value}
        self.expect(session_id, self.sessions.update(session_id, **fields))
        if known := self.model.get(session_id):
            setattr(known.data, field, value)
            self.slide(known)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def rotate(self, data: st.DataObject) -> None:
        self.now += 1_001
        self.time_passes(0)
        session_id = data.draw(st.sampled_from(self.ids))
        fresh = self.expect(session_id, self.sessions.rotate(session_id))
        if fresh is not None:
            self.model[fresh] = self.model.pop(session_id)
            self.slide(self.model[fresh])
            self.ids.append(fresh)

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def destroy(self, data: st.DataObject) -> None:
        session_id = data.draw(st.sampled_from(self.ids))
        self.run(self.sessions.destroy(session_id))
        self.model.pop(session_id, None)

    @rule(user=USERS)
    def destroy_all(self, user: str) -> None:
        alive = self.alive(user)
        assert self.run(self.sessions.destroy_all(user)) == len(alive)
        for session_id in alive:
            del self.model[session_id]

    @invariant()
    def listed_is_what_lives(self) -> None:
        for user in ("ada", "bob"):
            listed = self.run(self.sessions.list(user))
            seen = [(round(one.idle_until.timestamp() * 1000), one.data) for one in listed]
            known = [(self.model[i].idle_until, self.model[i].data) for i in self.alive(user)]
            assert sorted(map(str, seen)) == sorted(map(str, known))


@pytest.mark.proves("R13", "SE2", "SE3", "SE4")
def test_sessions_are_what_the_model_says(redis_url: str, key_prefix: str) -> None:
    loop = asyncio.new_event_loop()
    connections = RedisConnections(patient_settings(redis_url))
    machine = type(
        "Machine", (SessionsMachine,), {"loop": loop, "connections": connections, "prefix": key_prefix}
    )
    try:
        run_state_machine_as_test(
            machine, settings=settings(max_examples=20, stateful_step_count=30, deadline=None)
        )
    finally:
        loop.run_until_complete(connections.aclose())
        loop.close()

"""The local level alone: what it keeps, what it gives, what it must not."""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from rediscore.cache.local import MISSING, Local, LocalCache, Reservation
from rediscore.invalidation import InvalidationListener
from rediscore.testing import ManualClock

BASE = "t:v1:{cache:menu:0}"


class Feed:
    """An `Invalidations` in the hands of the test."""

    heartbeat = float("inf")

    def __init__(self) -> None:
        self.listeners: dict[str, InvalidationListener] = {}

    def watch(self, prefix: str, listener: InvalidationListener) -> None:
        self.listeners[prefix] = listener

    def unwatch(self, prefix: str) -> None:
        del self.listeners[prefix]

    def say(self, kind: str, keys: Sequence[bytes] | None = ()) -> None:
        self.listeners[f"{BASE}:{kind}"].invalidated(keys)

    def changed(self, key: str) -> None:
        self.say("e:", [f"{BASE}:e:{key}".encode()])

    def resume(self) -> None:
        for listener in self.listeners.values():
            listener.resumed()

    def interrupt(self) -> None:
        for listener in self.listeners.values():
            listener.interrupted()


class BeatingFeed(Feed):
    heartbeat = 2.0


def live(options: Local | None = None, feed: Feed | None = None, clock: ManualClock | None = None):  # type: ignore[no-untyped-def] # two values
    feed = feed or Feed()
    local: LocalCache[int] = LocalCache(options, clock=clock)
    local.attach(feed, [BASE])
    local.reserve("first")  # begins to watch
    feed.resume()
    return local, feed


def keep(
    local: LocalCache[int], key: str, value: int, *, fresh_for: float = 60, tagged: bool = False
) -> bool:
    return local.store(local.reserve(key), value, fresh_for=fresh_for, tagged=tagged)


@pytest.mark.proves("R7")
def test_nothing_is_kept_before_the_feed_is_live_on_every_prefix() -> None:
    local, feed = LocalCache[int](), Feed()
    assert not keep(local, "a", 1)
    local.attach(feed, [BASE, BASE.replace("0", "1")])
    assert not feed.listeners, "attaching does no I/O"
    early = local.reserve("a")
    *most, last = feed.listeners.values()
    for listener in most:
        listener.resumed()
    assert not keep(local, "a", 1)
    last.resumed()
    assert not local.store(early, 1, fresh_for=60, tagged=False), "read before the feed was live"
    assert keep(local, "a", 1)
    most[0].interrupted()
    assert local.get("a") is MISSING
    local.detach()
    assert not feed.listeners
    assert not keep(local, "a", 1)


@pytest.mark.proves("R7", "C4")
async def test_no_entry_is_fresh_longer_than_the_ceiling_or_its_own_ttl() -> None:
    clock = ManualClock()
    local, _ = live(Local(ttl=timedelta(seconds=10)), clock=clock)
    slow = local.reserve("slow")
    await clock.advance(4)
    local.store(slow, 1, fresh_for=5, tagged=False)
    keep(local, "short", 2, fresh_for=5)
    keep(local, "long", 3, fresh_for=3600)
    assert not keep(local, "over", 4, fresh_for=0)
    await clock.advance(1)
    assert local.get("slow") is MISSING, "its time began when it was asked for"
    assert local.get("short") == 2
    await clock.advance(4)
    assert local.get("short") is MISSING
    assert local.get("long") == 3
    await clock.advance(5)
    assert local.get("long") is MISSING
    assert local.last_good("long") == (3, 10.0)


@pytest.mark.proves("R7")
def test_the_number_of_entries_is_bounded_and_those_in_use_stay() -> None:
    local, _ = live(Local(max_entries=100))
    for number in range(100):
        keep(local, f"k{number}", number)
    for number in range(1000):
        assert local.get("k7") == 7
        keep(local, f"new{number}", number)
        assert len(local) == 100
    assert local.get("k8") is MISSING
    assert local.get("new999") == 999


@pytest.mark.proves("R7", "C4")
def test_a_reply_slower_than_its_invalidation_is_not_kept() -> None:
    local, feed = live()
    for change in (
        lambda: feed.changed("a"),
        lambda: local.drop("a"),
        local.clear,
        lambda: feed.say("e:", None),
    ):
        reservation = local.reserve("a")
        change()
        assert not local.store(reservation, 1, fresh_for=60, tagged=False)
    reservation = local.reserve("a")
    local.drop_tagged()
    assert not local.store(reservation, 1, fresh_for=60, tagged=True)
    assert local.store(reservation, 1, fresh_for=60, tagged=False)
    # Also when so much has changed that not every change is remembered.
    reservation = local.reserve("b")
    for number in range(5000):
        feed.changed("b" if number == 0 else f"k{number}")
    assert not local.store(reservation, 1, fresh_for=60, tagged=False)


@pytest.mark.proves("R6", "R7")
def test_the_last_good_value_outlives_an_outage_but_no_invalidation() -> None:
    local, feed = live()
    for key in ("kept", "changed", "dropped", "tagged"):
        keep(local, key, 1, tagged=key == "tagged")
    feed.changed("changed")
    feed.interrupt()
    local.drop("dropped")  # our own deletes, also while Redis is away
    local.drop_tagged()
    assert [local.get(key) for key in ("kept", "changed", "dropped", "tagged")] == [MISSING] * 4
    found = local.last_good("kept")
    assert found is not None
    assert found[0] == 1
    assert [local.last_good(key) for key in ("changed", "dropped", "tagged")] == [None] * 3
    feed.resume()
    assert local.get("kept") is MISSING, "what happened meanwhile is not known"
    assert local.last_good("kept") is not None
    feed.say("marks", None)
    assert local.last_good("kept") is None


@pytest.mark.proves("R7", "C4")
async def test_a_feed_that_cannot_even_say_that_it_is_interrupted_is_not_trusted() -> None:
    clock = ManualClock()
    local, feed = live(feed=BeatingFeed(), clock=clock)
    keep(local, "a", 1)
    await clock.advance(1.9)
    feed.resume()  # the heartbeat
    await clock.advance(1.9)
    assert local.get("a") == 1
    await clock.advance(0.2)  # the event loop was blocked, the process stopped
    assert local.get("a") is MISSING
    feed.resume()
    assert local.get("a") == 1, "nothing was said meanwhile, so nothing changed"


def test_options_that_make_no_sense_are_refused() -> None:
    for refused in ({"max_entries": 0}, {"ttl": timedelta(0)}):
        with pytest.raises(ValueError, match="local level"):
            Local(**refused)
    local, _ = live()
    with pytest.raises(ValueError, match="already"):
        local.attach(Feed(), [BASE])


class Order:
    """Reads, writes, tag changes and messages, each on its own wire. Key "t" has tags."""

    def __init__(self) -> None:
        self.server = {"a": 0, "t": 0}
        self.version = 0
        self.said: deque[str] = deque()
        self.replies: list[tuple[Reservation, int]] = []
        self.local, self.feed = live(Local(max_entries=2))

    def write(self, random: Random) -> None:
        self.version += 1
        key = random.choice(["a", "t"])
        self.server[key] = self.version
        self.said.append(key)

    def invalidate_tags(self, _: Random) -> None:
        self.version += 1
        self.server["t"] = self.version
        self.said.append("tags")

    def ask(self, random: Random) -> None:
        key = random.choice(["a", "t"])
        self.replies.append((self.local.reserve(key), self.server[key]))

    def reply(self, random: Random) -> None:
        if self.replies:
            reservation, value = self.replies.pop(random.randrange(len(self.replies)))
            self.local.store(reservation, value, fresh_for=600, tagged=reservation.key == "t")

    def hear(self, _: Random) -> None:
        if self.said:
            key = self.said.popleft()
            if key == "tags":
                self.feed.say("marks", [f"{BASE}:marks".encode()])
            else:
                self.feed.changed(key)

    def lose_the_connection(self, random: Random) -> None:
        self.feed.interrupt()
        self.write(random)
        self.said.clear()
        assert [self.local.get(key) for key in self.server] == [MISSING, MISSING]
        self.feed.resume()

    def check(self) -> int:
        """How many are served; none of them is old, unless the word of it is still on its way."""
        served = 0
        for key, value in self.server.items():
            found = self.local.get(key)
            if found is not MISSING and key not in self.said and not (key == "t" and "tags" in self.said):
                assert found == value
                served += 1
        return served


@pytest.mark.proves("R7", "C4")
def test_whoever_has_heard_everything_has_no_old_value_in_whatever_order_things_arrive() -> None:
    served = 0
    for seed in range(400):
        random, world = Random(seed), Order()
        done = [f"seed {seed}"]
        acts = [
            world.write,
            world.invalidate_tags,
            world.ask,
            world.ask,
            world.reply,
            world.reply,
            world.hear,
        ]
        acts += [world.hear, world.hear, world.lose_the_connection]
        for _ in range(50):
            act = random.choice(acts)
            done.append(act.__name__)
            act(random)
            try:
                served += world.check()
            except AssertionError as error:
                raise AssertionError(" ".join(done)) from error
    assert served > 100

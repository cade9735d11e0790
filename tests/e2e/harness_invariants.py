"""The invariants I1-I9 as rules over a snapshot: each gives a sentence for everything that breaks it."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Any

from tests.e2e.harness_snapshot import STREAMS, TERMINAL, Json, Snapshot

CONSUMERS = {
    "order": {"kitchen.events"},
    "kitchen": {"orders.events", "menu.events"},
    "menu": {"kitchen.events"},
    "analytics": set(STREAMS.values()),
}

# Which states may be seen after which: the transition table, with what lies between left out.
WAY = ["pending", "confirmed", "cooking", "ready", "delivering", "delivered"]

# The events of one order as letters, and the only words that they may form.
LETTERS = {
    "order.placed": "P",
    "payment.captured": "C",
    "payment.declined": "D",
    "order.confirmed": "F",
    "order.cancellation_requested": "Q",
    "payment.refunded": "R",
    "order.cancelled": "X",
    "kitchen.ticket_accepted": "A",
    "kitchen.ticket_rejected": "J",
    "kitchen.ticket_started": "s",
    "kitchen.ticket_completed": "t",
    "kitchen.order_ready": "O",
    "kitchen.cancellation_accepted": "K",
    "kitchen.cancellation_refused": "L",
    "delivery.started": "G",
    "delivery.completed": "H",
}
ORDER_WORDS = re.compile(r"P(X|DX|CRX|CXR|XCR|CFQ?(|RX|XR))")
KITCHEN_WORDS = re.compile(r"J|A(K|[sL]*J|[stL]*tL*OL*(GL*HL*)?)|A[sL]*|L|K")


def amount(money: Any) -> Decimal:
    """Of a money object or of a decimal string."""
    return Decimal(money["amount"] if isinstance(money, dict) else money)


def kind(event: Json) -> str:
    """`order.placed` of `pizzeria.order.placed.v1`."""
    return str(event["type"]).removeprefix("pizzeria.").rsplit(".", 1)[0]


def of_kind(snapshot: Snapshot, stream: str, name: str) -> list[Json]:
    return [event for event in snapshot.feeds[stream] if kind(event) == name]


def every_order_ends_once(seen: Snapshot) -> Iterator[str]:
    ends = Counter(event["subject"] for event in of_kind(seen, "orders.events", "order.cancelled"))
    ends.update(event["subject"] for event in of_kind(seen, "kitchen.events", "delivery.completed"))
    for order in seen.diary.accepted:
        status = seen.orders[order]["status"]
        if status not in TERMINAL:
            yield f"order {order} is still {status}"
        elif ends[order] != 1:
            yield f"order {order} ended {ends[order]} times"


def money_adds_up(seen: Snapshot) -> Iterator[str]:
    captured = _sums(seen, "payment.captured")
    refunded = _sums(seen, "payment.refunded")
    for order, count in Counter(
        e["subject"] for e in of_kind(seen, "orders.events", "payment.captured")
    ).items():
        if count > 1:
            yield f"order {order} was captured {count} times"
    for order, view in seen.orders.items():
        kept = captured[order] - refunded[order]
        due = amount(view["total"]) if view["status"] == "delivered" else Decimal(0)
        if kept != due:
            yield f"order {order} is {view['status']} and {kept} of {view['total']} was kept"
        told = amount(view["payment"]["captured"]), amount(view["payment"]["refunded"])
        if told != (captured[order], refunded[order]):
            events = captured[order], refunded[order]
            yield f"order {order} tells of captured, refunded {told}, its events of {events}"


def _sums(seen: Snapshot, name: str) -> Mapping[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for event in of_kind(seen, "orders.events", name):
        sums[event["subject"]] += amount(event["data"]["amount"])
    return sums


def newest_token_finishes(seen: Snapshot) -> Iterator[str]:
    tokens: dict[str, list[int]] = defaultdict(list)
    for grant in seen.diary.grants:
        tokens[grant.ticket_id].append(grant.token)
    for ticket, given in tokens.items():
        if any(later <= earlier for earlier, later in pairwise(given)):
            yield f"ticket {ticket} was given out with tokens {given}"
    for ticket, token in seen.diary.finished:
        if token != max(tokens[ticket]):
            yield f"ticket {ticket} was finished with {token}, while {max(tokens[ticket])} was given out"
    done = Counter(
        e["data"]["ticket_id"] for e in of_kind(seen, "kitchen.events", "kitchen.ticket_completed")
    )
    yield from (f"ticket {ticket} was completed {count} times" for ticket, count in done.items() if count > 1)


def stock_adds_up(seen: Snapshot) -> Iterator[str]:
    for stock in seen.inventory:
        there = stock["in_stock"] + stock["reserved"] + stock["consumed"]
        if stock["initial"] + stock["restocked"] != there:
            yield f"{stock['ingredient']}: {stock}"
        if min(stock["in_stock"], stock["reserved"], stock["consumed"]) < 0:
            yield f"{stock['ingredient']} is negative: {stock}"


def at_rest_nothing_is_left_over(seen: Snapshot) -> Iterator[str]:
    heads = {stream: len(seen.feeds[stream]) for stream in STREAMS.values()}
    for service, told in seen.positions.items():
        if told["outbox"]["head"] != told["outbox"]["sent"]:
            yield f"{service} has not sent all: {told['outbox']}"
        for stream in CONSUMERS[service]:
            position = told["inbox"].get(stream, {}).get("position", 0)  # nothing is noted of what is empty
            if position != heads[stream]:
                yield f"{service} stands at {position} of {heads[stream]} in {stream}"
    for group in seen.groups:
        if group.pending or group.lag:
            yield f"group {group.name} of {group.stream}: {group.pending} pending, lag {group.lag}"
    placed = {event["subject"] for event in of_kind(seen, "orders.events", "order.placed")}
    delivered = {event["subject"] for event in of_kind(seen, "kitchen.events", "delivery.completed")}
    cancelled = {event["subject"] for event in of_kind(seen, "orders.events", "order.cancelled")}
    if lost := set(seen.diary.accepted) - placed:
        yield f"accepted and never placed: {sorted(lost)}"
    if placed != delivered | cancelled:
        yield f"neither delivered nor cancelled, or never placed: {sorted(placed ^ (delivered | cancelled))}"
    if any(stock["reserved"] for stock in seen.inventory):
        yield f"still reserved: {[stock for stock in seen.inventory if stock['reserved']]}"


def projections_equal_the_feeds(seen: Snapshot) -> Iterator[str]:
    if seen.checkpoint != seen.archive_head:
        yield f"projections stand at {seen.checkpoint}, the archive at {seen.archive_head}"
    if seen.archive_head != sum(len(feed) for feed in seen.feeds.values()):
        yield f"{seen.archive_head} events archived of {sum(len(feed) for feed in seen.feeds.values())}"
    folded: Counter[str] = Counter()
    for event in of_kind(seen, "orders.events", "order.confirmed"):
        for item in event["data"]["items"]:
            folded[item["pizza_id"]] += item["quantity"]
    if dict(seen.popular) != dict(folded):
        yield f"popularity is {dict(seen.popular)}, the feeds say {dict(folded)}"


def states_follow_the_table(seen: Snapshot) -> Iterator[str]:
    for stream, feed in seen.feeds.items():
        if [event["position"] for event in feed] != list(range(1, len(feed) + 1)):
            yield f"{stream} has a gap or a repeat in its positions"
        if len({event["id"] for event in feed}) != len(feed):
            yield f"{stream} has two events with one id"
        sequences: dict[str, list[int]] = defaultdict(list)
        words: dict[str, str] = defaultdict(str)
        for event in feed:
            sequences[event["subject"]].append(event["sequence"])
            words[event["subject"]] += LETTERS.get(kind(event), "")
        for subject, numbers in sequences.items():
            if numbers != list(range(1, len(numbers) + 1)):
                yield f"{subject} has sequences {numbers} in {stream}"
        legal = {"orders.events": ORDER_WORDS, "kitchen.events": KITCHEN_WORDS}.get(stream)
        for subject, word in words.items():
            if legal and word and not legal.fullmatch(word):
                yield f"{subject} went an impossible way in {stream}: {word}"
    for order, states in seen.diary.seen.items():
        if not all(may_follow(before, after) for before, after in pairwise(states)):
            yield f"order {order} was seen as {list(states)}"


def may_follow(before: str, after: str) -> bool:
    """Whether `after` can be seen some time after `before`."""
    if before in TERMINAL:
        return after == before
    if after == "cancelled":
        return before in ("pending", "confirmed", "cooking")
    return WAY.index(before) <= WAY.index(after)


def no_station_is_overfull(seen: Snapshot) -> Iterator[str]:
    yield from seen.diary.overfull


def nothing_is_dropped_silently(seen: Snapshot) -> Iterator[str]:
    # A wipe takes dead letters with it, so there may be fewer than a test has caused, never more.
    expected = seen.diary.expected_dead
    for (stream, group), count in Counter((letter.stream, letter.group) for letter in seen.dead).items():
        if count > expected[stream]:
            yield f"group {group} has {count} dead letters in {stream}: {seen.dead}"
    for service, told in seen.positions.items():
        for stream, inbox in told["inbox"].items():
            if inbox["dead"] > expected[stream]:
                yield f"{service} gave up {inbox['dead']} events of {stream}"


RULES: Mapping[str, Callable[[Snapshot], Iterator[str]]] = {
    "I1": every_order_ends_once,
    "I2": money_adds_up,
    "I3": newest_token_finishes,
    "I4": stock_adds_up,
    "I5": at_rest_nothing_is_left_over,
    "I6": projections_equal_the_feeds,
    "I7": states_follow_the_table,
    "I8": no_station_is_overfull,
    "I9": nothing_is_dropped_silently,
}


def broken(seen: Snapshot) -> list[str]:
    """A line `I5: …` for everything that breaks an invariant; empty when all hold."""
    return [f"{name}: {sentence}" for name, rule in RULES.items() for sentence in rule(seen)]

"""What must hold at rest: plain functions over what was counted, with sentences about what breaks it.

They are tested themselves (`test_rules.py`): a checker that sees nothing proves nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby, pairwise

from tests.chaos.harness_ledger import Effect, Hold
from tests.chaos.harness_run import sort_of

KNOWN_REASONS = ("always fails", "not yet", "ran out too often", "vanished")
MOST_UNLUCKY = 0.02
"""Share of good items that may be dead letters, because they lost their workers too often by chance."""


def lost_workers(reasons: Mapping[str, str]) -> list[str]:
    """Items that are dead because their workers vanished, not because they failed."""
    return [item for item, reason in reasons.items() if "ran out too often" in reason or "vanished" in reason]


def one_end(
    accepted: Collection[str],
    effects: Mapping[str, int],
    letters: Mapping[str, int],
    lost: Collection[str] = (),
) -> list[str]:
    """Every accepted item has exactly one effect or exactly one dead letter; nobody else has any.

    Those of `lost` may have both: the last worker that they were allowed may have died between its effect and
    its acknowledgement, which nobody but the effect itself can know.
    """
    wrong = []
    for item in sorted({*accepted, *effects, *letters}):
        ends = (effects.get(item, 0), letters.get(item, 0))
        if item not in accepted:
            wrong.append(f"{item}: {ends[0]} effects and {ends[1]} dead letters, and nobody sent it")
        elif ends not in ((1, 0), (0, 1)) and not (ends == (1, 1) and item in lost):
            wrong.append(f"{item}: {ends[0]} effects and {ends[1]} dead letters")
    return wrong


def meant_end(
    accepted: Collection[str], letters: Collection[str], sort: Mapping[str, str] | None = None
) -> list[str]:
    """Poison and killers are dead letters, all others have effects, but for a few that were unlucky."""
    sorts = {item: sort[item] if sort else sort_of(item) for item in accepted}
    bad = {item for item, found in sorts.items() if found in ("poison", "killer")}
    wrong = [f"{item}: it should be a dead letter" for item in sorted(bad - set(letters))]
    unlucky = sorted((set(letters) & set(accepted)) - bad)
    if len(unlucky) > max(1, MOST_UNLUCKY * len(accepted)):
        wrong += [f"{item}: a dead letter without its fault" for item in unlucky]
    return wrong


def with_reasons(reasons: Mapping[str, str]) -> list[str]:
    """Each dead letter says why: by the item's own words, or that it lost its workers too often."""
    return [
        f"{item}: a dead letter that says {reason!r}"
        for item, reason in sorted(reasons.items())
        if not any(words in reason for words in KNOWN_REASONS)
    ]


def in_order(effects: Iterable[Effect]) -> list[str]:
    """The effects on one subject came in the order of its items."""
    newest: dict[str, Effect] = {}
    wrong = []
    for effect in effects:
        before = newest.get(effect.subject)
        if before is not None and effect.n <= before.n:
            wrong.append(f"{effect.item}: effect {effect.n} of {effect.subject} came after {before.n}")
        newest[effect.subject] = max(effect, before or effect, key=lambda found: found.n)
    return wrong


def one_holder(holds: Sequence[Hold]) -> list[str]:
    """Fencing tokens are unique and grow, and nobody got an item while another surely held it."""
    wrong = [
        f"{item}: token {token} was given {times} times"
        for (item, token), times in Counter((hold.item, hold.token) for hold in holds).items()
        if times > 1
    ]
    by_item = sorted(holds, key=lambda hold: (hold.item, hold.from_ms, hold.token))
    for item, group in groupby(by_item, key=lambda hold: hold.item):
        for before, after in pairwise(group):
            if after.token <= before.token:
                wrong.append(f"{item}: token {after.token} was given after {before.token}")
            if not before.ended and after.from_ms < before.until_ms:
                wrong.append(
                    f"{item}: {after.worker} got it {before.until_ms - after.from_ms} ms before the lease of "
                    f"{before.worker} ended"
                )
    return wrong

"""The rules see what they are there for: one doctored count per way to break one."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.chaos import harness_rules as rules
from tests.chaos.harness_ledger import Effect, Hold, Ledger

GOOD: Sequence[Hold] = (
    Hold("ok-1", 10, "a", 0, 1000, False),
    Hold("ok-1", 11, "b", 1000, 2000, False),
    Hold("ok-2", 12, "a", 0, 1000, True),
    Hold("ok-2", 13, "b", 300, 1300, False),
)


def test_what_is_well_is_well() -> None:
    assert rules.one_end(["ok-1", "poison-2"], {"ok-1": 1}, {"poison-2": 1}) == []
    lost = rules.lost_workers({"ok-1": "lease ran out too often", "poison-2": "always fails"})
    assert lost == ["ok-1"]
    assert rules.one_end(["ok-1"], {"ok-1": 1}, {"ok-1": 1}, lost) == []
    assert rules.meant_end(["ok-1", "poison-2", "killer-3"], ["poison-2", "killer-3"]) == []
    assert rules.with_reasons({"poison-2": "this one always fails", "killer-3": "vanished 6 times"}) == []
    assert rules.in_order([Effect("ok-1", "s", 1), Effect("ok-2", "t", 1), Effect("ok-4", "s", 4)]) == []
    assert rules.one_holder(GOOD) == []


@pytest.mark.parametrize(
    ("check", "says"),
    [
        (lambda: rules.one_end(["ok-1"], {}, {}), "ok-1: 0 effects and 0 dead letters"),
        (lambda: rules.one_end(["ok-1"], {"ok-1": 2}, {}), "ok-1: 2 effects"),
        (lambda: rules.one_end(["ok-1"], {}, {"ok-1": 2}), "2 dead letters"),
        (lambda: rules.one_end(["ok-1"], {"ok-1": 1}, {"ok-1": 1}), "1 effects and 1 dead letters"),
        (lambda: rules.one_end([], {"ok-1": 1}, {}), "nobody sent it"),
        (lambda: rules.meant_end(["poison-1"], []), "poison-1: it should be a dead letter"),
        (lambda: rules.meant_end([f"ok-{n}" for n in range(9)], ["ok-1", "ok-2"]), "without its fault"),
        (lambda: rules.with_reasons({"ok-1": ""}), "says ''"),
        (lambda: rules.with_reasons({"poison-1": "KeyError: item"}), "says 'KeyError: item'"),
        (lambda: rules.in_order([Effect("ok-2", "s", 2), Effect("ok-1", "s", 1)]), "came after 2"),
        (lambda: rules.in_order([Effect("ok-1", "s", 1)] * 2), "came after 1"),
        (lambda: rules.one_holder([GOOD[0], GOOD[0]]), "token 10 was given 2 times"),
        (lambda: rules.one_holder([GOOD[1], GOOD[0]._replace(from_ms=2000)]), "token 10 was given after 11"),
        (lambda: rules.one_holder([GOOD[0], GOOD[1]._replace(from_ms=900)]), "100 ms before the lease of a"),
    ],
)
def test_what_is_wrong_is_said(check: Callable[[], list[str]], says: str) -> None:
    found = check()
    assert any(says in sentence for sentence in found), found


def test_the_ledger_refuses_old_tokens_and_second_effects(tmp_path: Path) -> None:
    """And shows a double, should anybody go past the mark."""
    ledger: Any = Ledger(tmp_path / "ledger.db", "w")
    assert ledger.begin("ok-1", 5) == ("go", 1)
    assert ledger.begin("ok-1", 7) == ("go", 2)
    assert ledger.begin("ok-1", 6) == ("stale", 3)
    ledger.effect([Effect("ok-1", token=5)])
    assert ledger.effects() == []
    ledger.effect([Effect("ok-1", token=7), Effect("ok-1", token=8), Effect("ok-2", "s", 1)])
    assert [effect.item for effect in ledger.effects()] == ["ok-1", "ok-2"]
    assert ledger.begin("ok-1", 9) == ("done", 4)
    assert [step for _, step in ledger.journey("ok-2")] == ["EFFECT by w, token 0"]
    ledger._connection.execute("INSERT INTO effects VALUES ('ok-1', '', 0, 9, 'w', 0)")
    assert [effect.item for effect in ledger.effects()].count("ok-1") == 2
    ledger.close()

"""The table of mutations stays true, and the tool says what it sees."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Any:
    # Of the plugins, which take most of two seconds to import, the tests below need this one.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p pytest_timeout")
    monkeypatch.syspath_prepend(ROOT / "tools")
    import mutate  # type: ignore[import-not-found,unused-ignore]  # a program, no package

    return mutate


def test_every_mutation_fits_the_sources_of_today(mutate: Any) -> None:
    mutations = mutate.read_table()
    assert len(mutations) >= 25
    assert len({mutation.name for mutation in mutations}) == len(mutations)
    faults = {one.name: fault for one in mutations if (fault := mutate.fault_of(one))}
    assert faults == {}


def test_the_page_shows_the_table(mutate: Any) -> None:
    page = (ROOT / "docs" / "protections.md").read_text("utf-8")
    shown = re.search(r"<!-- mutations -->\n(.*)<!-- end -->", page, re.DOTALL)
    assert shown is not None
    wanted = mutate.markdown(mutate.read_table())
    assert shown[1] == wanted, "put the output of `make mutations ARGS=--list` there"


SOURCE = "def answer():\n    return 42\n"
TEST = """
from {package} import answer

def test_answer():
    assert answer() == 42

def test_nothing():
    assert answer() in (41, 42)
"""


def one_package(folder: Path) -> tuple[str, str]:
    """A package under a name that nobody else has, and a test of it; its name and its file."""
    package = f"package_{folder.name.lower().replace('-', '_')}"
    source = folder / "libs" / "one" / "src" / package
    source.mkdir(parents=True)
    (source / "__init__.py").write_text(SOURCE)
    (folder / "test_it.py").write_text(TEST.format(package=package))
    return package, str((source / "__init__.py").relative_to(folder))


@pytest.mark.parametrize(
    ("test", "verdict", "says"),
    [("test_answer", "killed", ""), ("test_nothing", "survived", "passes without: it is the answer")],
)
def test_a_mutation_is_made_and_its_test_is_run(
    mutate: Any, tmp_path: Path, test: str, verdict: str, says: str
) -> None:
    _, file = one_package(tmp_path)
    mutation = mutate.Mutation("one-answer", "it is the answer", file, "42", "41", f"test_it.py::{test}")
    outcome = mutate.try_out(mutation, tmp_path)
    assert (outcome.verdict, says in outcome.said) == (verdict, True), outcome
    assert (tmp_path / file).read_text() == SOURCE


@pytest.mark.parametrize(
    ("old", "test", "says"),
    [
        ("43", "test_it.py::test_answer", "its old text is 0 times"),
        ("e", "test_it.py::test_answer", "its old text is 3 times"),
        ("42", "test_it.py::test_gone", "does not exist"),
        ("42", "test_gone.py::test_answer", "does not exist"),
    ],
)
def test_a_mutation_that_fits_nothing_is_void(
    mutate: Any, tmp_path: Path, old: str, test: str, says: str
) -> None:
    _, file = one_package(tmp_path)
    outcome = mutate.try_out(mutate.Mutation("one-answer", "", file, old, "41", test), tmp_path)
    assert outcome.verdict == "void"
    assert says in outcome.said


@pytest.mark.parametrize(
    ("code", "output", "imported", "verdict"),
    [
        (1, "1 failed", "scratch", "killed"),
        (0, "1 passed", "scratch", "survived"),
        (0, "1 skipped", "scratch", "void"),
        (1, "1 failed", "elsewhere", "void"),
        (1, "1 failed", None, "void"),
        (2, "interrupted", "scratch", "void"),
        (1, "Error compiling script (new function)", "scratch", "void"),
        (1, "NameError: name 'nothing' is not defined", "scratch", "void"),
    ],
)
def test_a_red_test_counts_only_when_it_tested_the_mutant(
    mutate: Any, tmp_path: Path, code: int, output: str, imported: str | None, verdict: str
) -> None:
    scratch, witness = tmp_path / "scratch", tmp_path / "imported.json"
    if imported is not None:
        witness.write_text(json.dumps({"one": str(tmp_path / imported / "one" / "__init__.py")}))
    mutation = mutate.Mutation(
        "one-answer", "", "libs/one/src/one/__init__.py", "42", "41", "test_it.py::test"
    )
    ended = subprocess.CompletedProcess([], code, output, "")
    outcome = mutate.judge(mutation, ended, scratch, scratch / "one" / "__init__.py", witness)
    assert outcome.verdict == verdict

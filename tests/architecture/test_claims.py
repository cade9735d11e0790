"""`make claims` tells the truth: it passes on a proven claim and fails on every other kind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CLAIMS = Path(__file__).parents[1] / "claims.py"
PROVEN = """
import pytest

@pytest.mark.proves("I3", "R16")
@pytest.mark.parametrize("case", [1, 2])
def test_a_stale_lease_is_refused(case):
    assert case
"""


def claims_of(folder: Path, readme: str, test: str = PROVEN) -> subprocess.CompletedProcess[str]:
    (folder / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["proves(*ids): ids"]\n')
    (folder / "README.md").write_text(readme)
    (folder / "docs").mkdir(exist_ok=True)
    (folder / "test_queue.py").write_text(test)
    # None of them needs a plugin, and those that are installed take most of two seconds to import.
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(
        [sys.executable, CLAIMS, folder], env=alone, capture_output=True, text=True, timeout=60
    )


def test_a_proven_claim_passes_and_is_printed(tmp_path: Path) -> None:
    said = claims_of(tmp_path, "| Id | Claim |\n|---|---|\n| I3 | finished once, `test_queue.py` |\n")
    assert said.returncode == 0, said.stdout + said.stderr
    assert "test_queue.py::test_a_stale_lease_is_refused" in said.stdout
    assert "1 claims, 2 proven ids, 0 faults" in said.stdout


@pytest.mark.parametrize(
    ("readme", "sentence"),
    [
        ("| **I1** | every order ends |\n", "README.md: I1 is claimed, and no test carries proves('I1')"),
        ("See `test_queue.py::test_gone`.\n", "names test_queue.py::test_gone, which does not exist"),
    ],
)
def test_a_claim_without_its_test_fails(tmp_path: Path, readme: str, sentence: str) -> None:
    said = claims_of(tmp_path, readme)
    assert said.returncode == 1
    assert sentence in said.stdout


def test_documents_in_docs_count_too(tmp_path: Path) -> None:
    (tmp_path / "docs" / "deep").mkdir(parents=True)
    (tmp_path / "docs" / "deep" / "page.md").write_text("| P3 | orders are idempotent |\n")
    said = claims_of(tmp_path, "")
    assert said.returncode == 1
    assert "docs/deep/page.md: P3 is claimed" in said.stdout


def test_a_mark_with_an_unknown_id_fails(tmp_path: Path) -> None:
    said = claims_of(tmp_path, "", PROVEN.replace('"I3"', '"Z3"'))
    assert said.returncode == 1
    assert "proves('Z3') is no id" in said.stdout


def test_a_test_that_cannot_be_collected_is_no_success(tmp_path: Path) -> None:
    said = claims_of(tmp_path, "", "import a_module_that_nobody_has\n")
    assert said.returncode != 0
    assert "cannot collect" in said.stderr

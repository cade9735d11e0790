"""Which test proves what: `make claims`.

Collects every test that carries `@pytest.mark.proves("R16", "I3")`, prints the table and compares
it with what the documents claim. Exit code 1 when README.md or docs/ claim something that no test
proves, name a test that does not exist, or when a mark carries no such id.

A claim is a table row whose first cell is an id (I1 ..., P1 ..., R1 ..., a property such as LK3); a
named test is `path/test_x.py::test_y` or `path/test_x.py`, in backticks, anywhere in those documents.
"""

import argparse
import contextlib
import io
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

_ID = r"(?:(?:I|P|R|T|C|LK|CB|RL|SE|LB|Q|X)[1-9]\d?|CLUSTER)"
ID = re.compile(_ID)
CLAIM_ROW = re.compile(rf"^\|\s*\**({_ID})\**\s*\|", re.MULTILINE)
NAMED_TEST = re.compile(r"`((?:[\w.-]+/)*test_\w+\.py(?:::\w+)*)`")


@dataclass
class Proofs:
    """A pytest plugin that remembers which collected test carries which ids."""

    tests: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    collected: set[str] = field(default_factory=set)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            node = item.nodeid.split("[")[0]  # the cases of a parametrized test are one proof
            self.collected.add(node)
            for mark in item.iter_markers("proves"):
                for name in mark.args:
                    self.tests[str(name)].add(node)


@dataclass(frozen=True)
class Claims:
    """What the documents say: id or test → the documents that say it."""

    ids: Mapping[str, set[str]]
    tests: Mapping[str, set[str]]


def read_claims(root: Path) -> Claims:
    """The claims of README.md and of every Markdown file in docs/."""
    ids: dict[str, set[str]] = defaultdict(set)
    tests: dict[str, set[str]] = defaultdict(set)
    for document in [root / "README.md", *sorted((root / "docs").rglob("*.md"))]:
        if not document.is_file():
            continue
        text, name = document.read_text(encoding="utf-8"), str(document.relative_to(root))
        for found in CLAIM_ROW.findall(text):
            ids[found].add(name)
        for found in NAMED_TEST.findall(text):
            tests[found].add(name)
    return Claims(ids, tests)


def collect_proofs(root: Path) -> Proofs:
    """The `proves` marks of all tests below `root`. Raises: RuntimeError when a test cannot be collected."""
    proofs, said = Proofs(), io.StringIO()
    # In the root and without a path: as `make test` does it, by the configured testpaths.
    with contextlib.chdir(root), contextlib.redirect_stdout(said):
        code = pytest.main(["--collect-only", "-qq", "-p", "no:cacheprovider"], [proofs])
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"pytest cannot collect the tests:\n{said.getvalue()}")
    return proofs


def faults(claims: Claims, proofs: Proofs) -> list[str]:
    """A sentence for each claim without its test and for each mark that proves nothing known."""
    found = [
        f"{', '.join(sorted(documents))}: {name} is claimed, and no test carries proves({name!r})."
        for name, documents in sorted(claims.ids.items())
        if name not in proofs.tests
    ]
    found += [
        f"{', '.join(sorted(documents))}: names {test}, which does not exist."
        for test, documents in sorted(claims.tests.items())
        if not any(_is_or_holds(test, node) for node in proofs.collected)
    ]
    found += [
        f"{', '.join(sorted(tests))}: proves({name!r}) is no id of an invariant or a capability."
        for name, tests in sorted(proofs.tests.items())
        if not ID.fullmatch(name)
    ]
    return found


def _is_or_holds(test: str, node: str) -> bool:
    """Whether `node` is the named test or lies in the named file or class; paths may leave out folders."""
    return re.search(rf"(^|/){re.escape(test)}($|::)", node) is not None


def print_table(claims: Claims, proofs: Proofs, console: Console) -> None:
    """One row per id: where it is claimed, which tests prove it."""
    table = Table("id", "claimed in", "proven by", show_lines=True)
    for name in sorted(claims.ids.keys() | proofs.tests.keys(), key=_by_letter_and_number):
        documents = sorted(claims.ids.get(name, ()))
        table.add_row(name, "\n".join(documents), "\n".join(sorted(proofs.tests.get(name, ()))))
    console.print(table)


def _by_letter_and_number(name: str) -> tuple[str, int]:
    letters = name.rstrip("0123456789")
    return letters, int(name[len(letters) :] or 0)


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Which test proves which claim.")
    parser.add_argument("root", nargs="?", type=Path, default=Path(__file__).parents[1])
    root: Path = parser.parse_args(None if arguments is None else list(arguments)).root.resolve()
    console = Console(width=None if sys.stdout.isatty() else 160)
    claims, proofs = read_claims(root), collect_proofs(root)
    print_table(claims, proofs, console)
    for fault in (found := faults(claims, proofs)):
        console.print(f"[red]{fault}[/red]", highlight=False)
    console.print(f"{len(claims.ids)} claims, {len(proofs.tests)} proven ids, {len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

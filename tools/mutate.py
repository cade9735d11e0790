"""Takes one protection away at a time and sees the test that guards it go red: `make mutations`.

    python tools/mutate.py                 all of tests/chaos/mutations.toml
    python tools/mutate.py lease relay     those whose name holds one of these words
    python tools/mutate.py --few           one of each area, as CI does it
    python tools/mutate.py --list          names, protections and tests as a Markdown table

The source tree is not touched: each mutation is made in a copy of the package, which PYTHONPATH puts before
the installed one, for the test and for the processes that it starts. That the test did import the copy is
looked at afterwards. First all tests run unharmed, so that a red test says something.

Exit code 1 when a mutation survives, and when it says nothing: its text is gone from the source or is there
twice, its test does not exist or fails anyway, or the mutated program does not even load.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

ROOT: Final = Path(__file__).resolve().parent.parent
TABLE: Final = ROOT / "tests" / "chaos" / "mutations.toml"
SECONDS: Final = 60
# What Redis says of a script that it cannot run: then the mutation is no program, and the test no proof.
_NO_PROGRAM: Final = ("Error compiling script", "nonexistent global variable", "SyntaxError", "NameError")

# Loaded into the test's process as a plugin: notes which files the mutated package came from.
_WITNESS: Final = """
import json, os, sys
from pathlib import Path

def pytest_sessionfinish(session):
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    Path(os.environ["MUTATION_WITNESS"]).write_text(json.dumps(files))
"""


@dataclass(frozen=True)
class Mutation:
    """One protection taken away: `old` becomes `new` in `file`, and then `test` must fail."""

    name: str
    protection: str
    file: str
    old: str
    new: str
    test: str

    @property
    def area(self) -> str:
        """What it belongs to: the first word of its name."""
        return self.name.partition("-")[0]

    @property
    def source(self) -> Path:
        """The folder that is put on the path: `libs/rediscore/src`, say."""
        parts = Path(self.file).parts
        return Path(*parts[: parts.index("src") + 1])

    @property
    def package(self) -> str:
        return Path(self.file).relative_to(self.source).parts[0]


@dataclass(frozen=True)
class Outcome:
    """What became of it: `killed` (the test went red), `survived`, or `void` with the reason."""

    mutation: Mutation
    verdict: str
    said: str = ""


def read_table(table: Path = TABLE) -> list[Mutation]:
    """The mutations, in the order of the file."""
    return [Mutation(**entry) for entry in tomllib.loads(table.read_text("utf-8"))["mutation"]]


def fault_of(mutation: Mutation, root: Path = ROOT) -> str | None:
    """Why a mutation cannot be made as the sources are now; None when it can."""
    file = root / mutation.file
    times = file.read_text("utf-8").count(mutation.old) if file.is_file() else 0
    if times != 1:
        return f"its old text is {times} times in {mutation.file}: bring {TABLE.name} up to date"
    path, _, function = mutation.test.partition("::")
    tests = (root / path).read_text("utf-8") if (root / path).is_file() else ""
    name = function.rpartition("::")[2].partition("[")[0]
    if not re.search(rf"def {re.escape(name)}\(", tests):
        return f"its test {mutation.test} does not exist"
    return None


def try_out(mutation: Mutation, root: Path = ROOT) -> Outcome:
    """Make the mutation in a copy and run its test there."""
    if fault := fault_of(mutation, root):
        return Outcome(mutation, "void", fault)
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        scratch = Path(place)
        shutil.copytree(
            root / mutation.source / mutation.package,
            scratch / mutation.package,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        mutant = scratch / Path(mutation.file).relative_to(mutation.source)
        mutant.write_text(mutant.read_text("utf-8").replace(mutation.old, mutation.new), "utf-8")
        (scratch / "mutation_witness.py").write_text(_WITNESS, "utf-8")
        witness = scratch / "imported.json"
        ended = pytest(
            ["-x", "-p", "mutation_witness", mutation.test],
            root,
            {"PYTHONPATH": place, "MUTATION_WITNESS": str(witness)},
        )
        return judge(mutation, ended, scratch, mutant, witness)


def judge(
    mutation: Mutation, ended: "subprocess.CompletedProcess[str]", scratch: Path, mutant: Path, witness: Path
) -> Outcome:
    """A red test counts only when the mutant was what it tested, and was a program at all."""
    imported: Mapping[str, str] = json.loads(witness.read_text("utf-8")) if witness.is_file() else {}
    home = imported.get(mutation.package)
    module = ".".join(mutant.relative_to(scratch).with_suffix("").parts).removesuffix(".__init__")
    if home is None or scratch not in Path(home).parents or imported.get(module, str(mutant)) != str(mutant):
        return Outcome(mutation, "void", f"the test imported {home}, not the mutant\n{ended.stdout[-2000:]}")
    if ended.returncode == 0 and " passed" not in ended.stdout:
        return Outcome(mutation, "void", f"{mutation.test} was skipped")
    if ended.returncode == 0:
        return Outcome(mutation, "survived", f"{mutation.test} passes without: {mutation.protection}")
    if ended.returncode != 1 or any(sign in ended.stdout for sign in _NO_PROGRAM):
        return Outcome(mutation, "void", f"the mutant is no program\n{ended.stdout[-2000:]}")
    return Outcome(mutation, "killed")


def pytest(
    arguments: Sequence[str], root: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run tests with this interpreter, in the root, on embedded servers; what needs containers is skipped."""
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:randomly", f"--timeout={SECONDS}", "--tb=short"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *arguments],
        cwd=root,
        # Without CI: there a skip is a failure, and would look as if the test had gone red.
        env={"REDISCORE_TEST_SERVER": "embedded", **os.environ, "CI": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def unharmed(mutations: Iterable[Mutation], jobs: int, root: Path = ROOT) -> str | None:
    """Run the named tests as the sources are; what pytest said when one fails, also alone."""
    tests = sorted({mutation.test for mutation in mutations})
    ended = pytest(["-n", str(jobs), "--dist", "loadgroup", *tests], root, {})
    if failed := re.findall(r"^FAILED (\S+)", ended.stdout, re.MULTILINE):
        ended = pytest(failed, root, {})  # too many at once for this machine, perhaps
    return ended.stdout[-4000:] + ended.stderr[-2000:] if ended.returncode else None


def run(
    mutations: Sequence[Mutation], jobs: int, done: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """All mutations, `jobs` at a time."""
    outcomes = []
    with ThreadPoolExecutor(jobs) as pool:
        for future in as_completed([pool.submit(try_out, mutation) for mutation in mutations]):
            outcomes.append(future.result())
            done(outcomes[-1])
    return outcomes


def markdown(mutations: Iterable[Mutation]) -> str:
    """The table of docs/protections.md."""
    rows = ["| Mutation | Without it | Red |", "|---|---|---|"]
    rows += [f"| {one.name} | {one.protection} | `{one.test}` |" for one in mutations]
    return "\n".join(rows) + "\n"


def chosen(mutations: Sequence[Mutation], words: Sequence[str], *, few: bool) -> list[Mutation]:
    """Those that a word names, or the first of each area."""
    found = [one for one in mutations if not words or any(word in one.name for word in words)]
    if not few:
        return found
    return list({one.area: one for one in reversed(found)}.values())[::-1]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Remove any one protection and a test goes red.")
    parser.add_argument("words", nargs="*", help="parts of names; all mutations without them")
    parser.add_argument("--few", action="store_true", help="one of each area")
    parser.add_argument("--list", action="store_true", help="print the table and do nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="at a time")
    options = parser.parse_args(arguments)
    mutations = chosen(read_table(), options.words, few=options.few)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    if options.list:
        console.print(markdown(mutations), markup=False, soft_wrap=True)
        return 0
    if not mutations:
        console.print(f"No mutation is named like {', '.join(options.words)}.")
        return 1
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("the tests, unharmed", total=len(mutations))
        if trouble := unharmed(mutations, options.jobs):
            console.print(trouble, markup=False)
            console.print("[red]These tests fail without any mutation.[/red]")
            return 1

        def done(outcome: Outcome) -> None:
            progress.update(bar, advance=1, description=outcome.mutation.name)
            if outcome.verdict != "killed":
                console.print(f"[red]{outcome.verdict}[/red] {outcome.mutation.name}:", outcome.said)
            elif not console.is_terminal:  # which shows no bar that moves
                console.print(f"killed {outcome.mutation.name}")

        outcomes = run(mutations, options.jobs, done)
    killed = sum(outcome.verdict == "killed" for outcome in outcomes)
    console.print(f"{len(outcomes)} protections taken away, {killed} tests went red.")
    return 0 if killed == len(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())

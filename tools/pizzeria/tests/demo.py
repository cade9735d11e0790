"""A demo that runs, for tests."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pizzeria.cli import app
from pizzeria.home import Home
from typer.testing import CliRunner

READY_SECONDS = 60.0


class Demo:
    """`pizzeria up`, real, in a folder of its own; its output goes to a file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.home = Home(folder / "home")
        self.output = folder / "output"
        self._environment = {**os.environ, "PIZZERIA_HOME": str(self.home.path)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pizzeria", "up", *options],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def wait_for(self, pattern: str, *, seconds: float = READY_SECONDS) -> re.Match[str]:
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.output.read_text())) is None:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, f"no {pattern!r} in:\n{self.output.read_text()}"
            time.sleep(0.05)
        return found

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command, in this process: a new one takes most of a second to import what it needs."""
        runner = CliRunner(env={**self._environment, **environment})
        done = runner.invoke(app, arguments, catch_exceptions=False)
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def run_process(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command as a person runs it."""
        return subprocess.run(
            [sys.executable, "-m", "pizzeria", *arguments],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
        )

    def until(self, *arguments: str, true: Callable[[str], object]) -> None:
        """Run a command until its output is so."""
        deadline = time.monotonic() + READY_SECONDS
        while not true((done := self.run(*arguments)).stdout):
            assert time.monotonic() < deadline, f"{arguments}: {done.stdout}{done.stderr}"
            time.sleep(0.1)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(40)
        finally:
            self.process.kill()

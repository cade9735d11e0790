"""Makes the virtual environment: what the lock names, checked by hash, and our packages on top.

    python3 tools/bootstrap.py          what the demo needs
    python3 tools/bootstrap.py --dev    and what the tests need
    python3 tools/bootstrap.py --bench  .venv-bench: rediscore and what it is measured against

Standard library only. Does nothing when the environment is up to date. The syntax stays that of an old
Python, because a file that it cannot read would not tell anybody which one is needed.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  this is where an older one is told
    sys.exit(
        f"Mario's Pizzeria needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.\n"
        "Install a newer one (Debian, Ubuntu: sudo apt install python3.13 python3.13-venv; macOS: brew\n"
        "install python@3.13; or from python.org). If it is not found by itself, name it:\n"
        "make demo PYTHON=python3.13"
    )

import argparse
import hashlib
import importlib.util
import json
import re
import subprocess
import tempfile
from pathlib import Path

_CONNECTION_TROUBLE = re.compile(
    r"from versions: none|connection|name resolution|timed out|Max retries|unreachable|SSLError|proxy",
    re.IGNORECASE,
)


class BootstrapError(Exception):
    """Why there is no environment, in a sentence that says what to do."""


class Environment:
    """A virtual environment of one clone: .venv with all our packages, or .venv-bench for measuring one."""

    def __init__(self, root: Path, *, bench: bool = False) -> None:
        self.root = root
        self.folder = root / (".venv-bench" if bench else ".venv")
        self.python = self.folder / "bin" / "python"
        packages = ("libs/rediscore",) if bench else ("libs/*", "services/*", "tools/*")
        self.packages = sorted(
            file.parent for pattern in packages for file in root.glob(f"{pattern}/pyproject.toml")
        )
        locks = ("requirements-bench.lock",) if bench else ("requirements.lock", "requirements-dev.lock")
        self._locks = [root / name for name in locks]
        self._stamp = self.folder / "bootstrap.json"

    def is_current(self, *, dev: bool) -> bool:
        """Whether what is installed came from the locks and package files of now, at this place."""
        try:
            stamp = json.loads(self._stamp.read_text())
        except (OSError, ValueError):
            return False
        return stamp["key"] == self._key() and (stamp["dev"] or not dev) and self.python.exists()

    def make(self, *, dev: bool) -> None:
        """Bring it up to date. Raises: BootstrapError."""
        self._stamp.unlink(missing_ok=True)
        if not self._has_pip():
            self._create()
        lock = self._locks[-1 if dev else 0]
        say(f"Installing what {lock.name} names …")
        ours = [argument for package in self.packages for argument in ("-e", str(package))]
        with tempfile.TemporaryDirectory() as scratch:
            uv_pin, others = Path(scratch, "uv.txt"), Path(scratch, "others.txt")
            pin, rest = split_uv(lock.read_text())
            uv_pin.write_text(pin)
            others.write_text(rest)
            if not (self._install_uv(uv_pin) and self._uv("--require-hashes", "-r", str(lock))):
                self._pip("--require-hashes", "-r", str(others))
            if not self._uv("--no-deps", "--no-build-isolation", *ours):
                self._pip("--no-deps", "--no-build-isolation", *ours)
        self._stamp.write_text(json.dumps({"key": self._key(), "dev": dev}))

    def _key(self) -> str:
        # The folder is part of it: what is installed points into the clone.
        key = hashlib.sha256(str(self.root).encode())
        for file in [*self._locks, *(package / "pyproject.toml" for package in self.packages)]:
            key.update(file.read_bytes())
        return key.hexdigest()

    def _has_pip(self) -> bool:
        try:
            return run([self.python, "-m", "pip", "--version"]).returncode == 0
        except OSError:
            return False

    def _create(self) -> None:
        if not has_venv_module():
            version = f"{sys.version_info[0]}.{sys.version_info[1]}"
            raise BootstrapError(
                f"{sys.executable} cannot make virtual environments: venv or ensurepip is missing.\n"
                f"Install it (Debian, Ubuntu: sudo apt install python{version}-venv) and try again."
            )
        say(f"Making the virtual environment {self.folder.name} …")
        made = run([sys.executable, "-m", "venv", "--clear", str(self.folder)])
        if made.returncode:
            raise BootstrapError(f"The virtual environment could not be made:\n{last_lines(made)}")

    def _install_uv(self, pin: Path) -> bool:
        """With pip, as a wheel: building it would take a Rust compiler."""
        options = ["--only-binary", ":all:", "--require-hashes", "-r", str(pin)]
        return run([self.python, "-m", "pip", "install", "-q", "--retries", "1", *options]).returncode == 0

    def _uv(self, *arguments: str) -> bool:
        """Fast where it works. Where it does not (no wheel, an index only pip knows of), pip has its turn."""
        uv = self.folder / "bin" / "uv"
        if not uv.exists():
            return False
        return run([uv, "pip", "install", "-q", "--python", self.python, *arguments]).returncode == 0

    def _pip(self, *arguments: str) -> None:
        done = run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *arguments])
        if done.returncode and _CONNECTION_TROUBLE.search(done.stderr):
            raise BootstrapError(
                "The packages could not be downloaded. Is there a network? Behind a proxy set HTTPS_PROXY,\n"
                f"for an index of your own PIP_INDEX_URL; then try again. pip said:\n{last_lines(done)}"
            )
        if done.returncode:
            raise BootstrapError(f"The packages could not be installed. pip said:\n{last_lines(done)}")


def split_uv(lock: str) -> "tuple[str, str]":
    """The entry of uv in a lock, and the rest."""
    pin = re.search(r"^uv==.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    return (pin[0], lock.replace(pin[0], "")) if pin else ("", lock)


def has_venv_module() -> bool:
    """Whether this Python can make environments with pip in them; Debian ships that part separately."""
    return all(importlib.util.find_spec(module) for module in ("venv", "ensurepip"))


def run(command: "list[str | Path]") -> "subprocess.CompletedProcess[str]":
    """Run a program and keep what it says."""
    return subprocess.run(command, capture_output=True, text=True, check=False)


def last_lines(done: "subprocess.CompletedProcess[str]") -> str:
    """The end of what a program said."""
    return "\n".join((done.stderr or done.stdout).strip().splitlines()[-6:])


def say(line: str) -> None:
    """To the person who waits."""
    print(line, flush=True)  # noqa: T201


def main() -> None:
    """Make the environment of the clone that this file lies in."""
    parser = argparse.ArgumentParser(description="Makes the virtual environment of Mario's Pizzeria.")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dev", action="store_true", help="install what the tests need as well")
    which.add_argument("--bench", action="store_true", help="make .venv-bench instead")
    options = parser.parse_args()
    dev = options.dev
    environment = Environment(Path(__file__).resolve().parent.parent, bench=options.bench)
    try:
        if not environment.is_current(dev=dev):
            environment.make(dev=dev)
    except BootstrapError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

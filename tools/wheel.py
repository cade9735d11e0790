"""Builds the wheel of rediscore and proves that it stands alone: `make wheel`.

In an empty folder with an environment of its own: the wheel, what it declares, its tests. Nothing else of
this tree is there, so what the wheel forgets (a Lua file, a dependency, the marker of types) shows.
Options go to pytest.
"""

import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "libs" / "rediscore"
PLACE = ROOT / ".wheel"
EXTRAS = "embedded,fastapi,metrics,msgpack,streams,testing"
TOOLS = ["httpx", "jsonschema", "playwright", "pytest-timeout", "pytest-xdist", "uvicorn"]
"""What only our own tests need."""


def main() -> None:
    begun = time.monotonic()
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir()
    wheel = build()
    check(wheel)
    python = install(wheel)
    tests = lay_out()
    say(f"{wheel.name} is installed ({time.monotonic() - begun:.0f} s); its tests follow.")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    environment.setdefault("REDISCORE_TEST_SERVER", "embedded")
    options = ["-n", "4", "--dist", "loadgroup", "-m", "not soak", "-p", "no:cacheprovider", "-q"]
    ended = subprocess.run(
        [python, "-m", "pytest", *options, *sys.argv[1:]], cwd=tests, env=environment, check=False
    )
    say(f"{time.monotonic() - begun:.0f} s in all.")
    sys.exit(ended.returncode)


def build() -> Path:
    """With the hatchling that the lock names: nothing is downloaded."""
    run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", PLACE], PACKAGE)
    [wheel] = PLACE.glob("*.whl")
    return wheel


def check(wheel: Path) -> None:
    """All that the sources hold is in it, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = PACKAGE / "src"
    wanted = {
        str(file.relative_to(source))
        for file in source.rglob("*")
        if file.suffix in (".py", ".lua", ".html") or file.name == "py.typed"
    }
    if held != wanted:
        sys.exit(f"The wheel lacks {sorted(wanted - held)} and should not hold {sorted(held - wanted)}.")


def install(wheel: Path) -> Path:
    """Into an empty environment, in the versions that the lock names."""
    python = PLACE / "venv" / "bin" / "python"
    run([sys.executable, "-m", "venv", PLACE / "venv"])
    lock = (ROOT / "requirements-dev.lock").read_text("utf-8")
    pins = re.findall(r"^(\S+==\S+)( ;[^\\\n]*)?", lock, re.MULTILINE)
    constraints = PLACE / "constraints.txt"
    constraints.write_text("".join(f"{pin}{marker}\n" for pin, marker in pins), "utf-8")
    what: list[str | Path] = [f"{wheel}[{EXTRAS}]", *TOOLS, "--constraint", constraints]
    uv: list[str | Path] = [ROOT / ".venv" / "bin" / "uv", "pip", "install", "-q", "--python", python]
    if subprocess.run([*uv, *what], capture_output=True, check=False).returncode:
        run([python, "-m", "pip", "install", "-q", *what])  # an index that only pip knows of
    return python


def lay_out() -> Path:
    """The tests with the documents that they run, and the settings under which the house runs them."""
    folder = PLACE / "rediscore"
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("tests", "docs"):
        shutil.copytree(PACKAGE / name, folder / name, ignore=ignored)
    shutil.copy(PACKAGE / "README.md", folder)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    settings["testpaths"] = ["tests"]
    (folder / "pytest.ini").write_text("[pytest]\n" + "".join(map(ini_line, settings.items())), "utf-8")
    (folder / "conftest.py").write_text('pytest_plugins = ["rediscore.testing.plugin"]\n', "utf-8")
    return folder


def ini_line(setting: tuple[str, object]) -> str:
    name, value = setting
    lines = value if isinstance(value, list) else [value]
    return f"{name} =\n" + "".join(f"    {line}\n" for line in lines)


def run(command: Sequence[str | Path], folder: Path = ROOT) -> None:
    """Run a program. What it says is shown only when it fails, and that ends us too."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()

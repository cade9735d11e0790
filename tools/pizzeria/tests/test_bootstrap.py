"""The bootstrap: sentences for machines that lack something, and nothing to do when all is there."""

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "tools" / "bootstrap.py"
UV = "uv==0.1.2 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n"
BEFORE_UV, AFTER_UV = "nothing==1.0 \\\n    --hash=sha256:00\n", "z==3 \\\n    --hash=sha256:cc\n"
LOCK = BEFORE_UV + UV + AFTER_UV


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A root with a bootstrap and a small lock, without environment."""
    (tmp_path / "tools").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tools")
    for name in ("requirements.lock", "requirements-dev.lock", "requirements-bench.lock"):
        (tmp_path / name).write_text(LOCK)
    return tmp_path


def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(clone: Path, before: str = "pass", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the clone's bootstrap after `before`, which makes this Python a poorer one."""
    file = str(clone / "tools" / SCRIPT.name)
    script = f"import runpy, sys; {before}; runpy.run_path({file!r}, run_name='__main__')"
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.proves("P17")
def test_an_old_python_is_told_which_one_is_needed(clone: Path) -> None:
    done = run(clone, "sys.version_info = (3, 9, 2, 'final', 0); sys.version = '3.9.2 (main)'")
    assert done.returncode == 1
    assert done.stderr.startswith("Mario's Pizzeria needs Python 3.11 or newer, and ")
    assert "is 3.9.2." in done.stderr
    assert "PYTHON=python3.13" in done.stderr


def test_an_old_python_can_read_the_file() -> None:
    ast.parse(SCRIPT.read_text(), feature_version=(3, 7))


@pytest.mark.proves("P17")
@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_what_to_install(clone: Path, module: str) -> None:
    hide = (
        "import importlib.util as u; find = u.find_spec; "
        f"u.find_spec = lambda name, *more: None if name == {module!r} else find(name, *more)"
    )
    done = run(clone, hide)
    assert done.returncode == 1
    assert "venv or ensurepip is missing" in done.stderr
    assert "apt install python3." in done.stderr
    assert not (clone / ".venv").exists()


def test_without_a_network_there_is_a_sentence(clone: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    pip = {"PIP_INDEX_URL": nowhere, "PIP_RETRIES": "0", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    done = run(clone, **pip)
    assert done.returncode == 1
    assert "The packages could not be downloaded." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / ".venv" / "bootstrap.json").exists()


def test_nothing_is_done_when_the_environment_is_current(clone: Path) -> None:
    environment = bootstrap().Environment(clone)
    (clone / ".venv" / "bin").mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    assert not environment.is_current(dev=False)
    (clone / ".venv" / "bootstrap.json").write_text(json.dumps({"key": environment._key(), "dev": False}))
    assert environment.is_current(dev=False)
    assert not environment.is_current(dev=True)
    assert run(clone).returncode == 0
    (clone / "requirements.lock").write_text(LOCK + "\n")
    assert not environment.is_current(dev=False)


def test_a_moved_clone_is_installed_again(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    module = bootstrap()
    other = tmp_path_factory.mktemp("moved") / "clone"
    shutil.copytree(clone, other)
    assert module.Environment(clone)._key() != module.Environment(other)._key()


def test_measuring_has_an_environment_of_its_own(clone: Path) -> None:
    environment, measuring = bootstrap().Environment(clone), bootstrap().Environment(clone, bench=True)
    before = environment._key(), measuring._key()
    assert measuring.folder == clone / ".venv-bench"
    (clone / "requirements-bench.lock").write_text(LOCK + "\n")
    assert environment._key() == before[0]
    assert measuring._key() != before[1]


def test_uv_is_taken_out_of_the_lock_for_pip() -> None:
    pin, rest = bootstrap().split_uv(LOCK)
    assert pin == UV
    assert rest == BEFORE_UV + AFTER_UV

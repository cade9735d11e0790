"""Locks, packages and images: installable anywhere, checked by hash, alike where they should be."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECTS = sorted(
    path for where in ("libs", "services", "tools") for path in (ROOT / where).glob("*/pyproject.toml")
)
DOCKERFILES = sorted([*ROOT.glob("services/*/Dockerfile"), ROOT / "tools/pizzeria/Dockerfile"])
LOCKS = [ROOT / f"requirements{name}.lock" for name in ("", "-dev", "-bench")]


def folder(path: Path) -> str:
    return str(path.parent.relative_to(ROOT))


def project(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))["project"]
    return read


def locked(path: Path) -> dict[str, str]:
    """Package → its block in the lock."""
    blocks = re.split(r"\n(?=\S)", path.read_text("utf-8").strip())
    return {re.split(r"[=\s]", block)[0]: block for block in blocks}


def version(block: str) -> str:
    """The first line of a block: name, version, for which systems."""
    return block.splitlines()[0]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_pins_versions_and_hashes_and_names_no_index(lock: Path) -> None:
    packages = locked(lock)
    assert len(packages) > 40
    assert [
        name for name, block in packages.items() if "==" not in block or "--hash=sha256:" not in block
    ] == []
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", lock.read_text("utf-8"))


def test_what_tests_the_house_is_not_in_what_runs_it() -> None:
    runs, tests, _ = map(locked, LOCKS)
    assert {"pytest", "mypy", "ruff", "testcontainers"} <= tests.keys()
    assert not {"pytest", "mypy", "ruff", "testcontainers"} & runs.keys()
    assert {name for name, block in runs.items() if tests.get(name) != block} == set()


def test_what_is_measured_is_what_runs() -> None:
    runs, _, measured = map(locked, LOCKS)
    assert {"redis", "hiredis", "pydantic"} <= measured.keys()
    assert {
        name for name in runs.keys() & measured.keys() if version(runs[name]) != version(measured[name])
    } == set()


@pytest.mark.parametrize("path", PROJECTS, ids=folder)
def test_a_package_describes_itself(path: Path) -> None:
    about = project(path)
    assert about["name"].startswith("pizzeria-")
    assert about["requires-python"] == ">=3.11"
    assert about["license"] == "MIT"
    assert (path.parent / about["readme"]).is_file()
    assert list(path.parent.glob("src/*/py.typed"))


def test_every_dependency_is_ours_or_locked() -> None:
    ours = {project(path)["name"] for path in PROJECTS}
    wanted = {
        re.split(r"[^\w-]", line)[0] for path in PROJECTS for line in project(path).get("dependencies", [])
    }
    assert wanted - ours - locked(LOCKS[0]).keys() == set()


@pytest.mark.parametrize("service", ["menu", "order", "kitchen", "analytics"])
def test_a_service_folder_holds_all_that_the_service_needs(service: str) -> None:
    held = {path.name for path in (ROOT / "services" / service).iterdir()}
    assert {
        "pyproject.toml",
        "README.md",
        "Dockerfile",
        "openapi.json",
        "asyncapi.json",
        "src",
        "tests",
    } <= held


@pytest.mark.parametrize("path", DOCKERFILES, ids=folder)
def test_an_image_is_small_safe_and_watched(path: Path) -> None:
    text = path.read_text("utf-8")
    assert re.findall(r"^FROM (\S+)", text, re.MULTILINE)[0] == "python:3.13-slim"
    assert "--require-hashes" in text
    assert re.search(r"^USER pizzeria$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text or path.parent.name == "pizzeria"  # the simulator serves nobody
    # What is named `# syntax` is pulled from a registry at every build.
    assert "# syntax" not in text


def test_images_share_the_layers_of_the_packages() -> None:
    shared = {path: path.read_text("utf-8").split("FROM ")[1:4] for path in DOCKERFILES}
    first = shared[DOCKERFILES[0]]
    assert [stage.split()[2] for stage in first] == ["packages", "runtime", "libraries"]
    assert [folder(path) for path, stages in shared.items() if stages != first] == []


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    return read


def test_compose_publishes_on_the_loopback_only(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_compose_holds_no_secret(compose: dict[str, Any]) -> None:
    given = {
        key: value
        for service in compose["services"].values()
        for key, value in service.get("environment", {}).items()
        if re.search(r"PASSWORD|TOKEN", key)
    }
    assert given
    assert [key for key, value in given.items() if not value.startswith("/run/pizzeria/")] == []
    assert not re.search(r"://[^/\s@]*:[^/\s@]*@", (ROOT / "compose.yaml").read_text("utf-8"))


def test_compose_starts_nobody_before_what_he_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for service in ("order", "kitchen", "menu", "analytics"):
        waits = {name: gate["condition"] for name, gate in services[service]["depends_on"].items()}
        assert waits == {
            "tokens": "service_completed_successfully",
            "redis": "service_healthy",
            "postgres": "service_healthy",
        }
        assert services[service]["init"]
        assert services[service]["stop_grace_period"]
    assert set(services["simulator"]["depends_on"]) == {"order", "kitchen", "menu", "analytics"}


def test_redis_keeps_what_it_is_told_and_drops_nothing(compose: dict[str, Any]) -> None:
    command = compose["services"]["redis"]["command"]
    assert all(
        part in command
        for part in ("--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction")
    )


def test_compose_takes_the_file_old_and_new() -> None:
    generations = (["docker", "compose"], ["docker-compose"])
    there = [found for found in generations if shutil.which(found[0]) and answers([*found, "version"])]
    if not there:
        pytest.skip("no Compose is installed")
    for command in there:
        assert answers([*command, "config", "--quiet"]), f"{' '.join(command)} refuses compose.yaml"


def answers(command: list[str]) -> bool:
    return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30).returncode == 0

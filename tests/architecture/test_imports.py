"""The import rules of pyproject.toml hold, and importing our code does nothing but define things."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys, threading

def forbid(event, arguments):
    if event in ("socket.connect", "socket.bind", "subprocess.Popen", "sqlite3.connect"):
        raise AssertionError(f"{event} at import")

sys.addaudithook(forbid)
packages = ["rediscore", "pizzeria_contracts", "pizzeria_chassis", "menu_service", "order_service",
            "kitchen_service", "analytics_service", "pizzeria"]
count = 0
for package in packages:
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, package + "."):
        # Migrations and programs are run, not imported; the test kit needs pytest to be running.
        if not any(part in module.name for part in (".migrations", "__main__", ".testing.plugin")):
            importlib.import_module(module.name)
            count += 1
assert threading.active_count() == 1, threading.enumerate()
print(count)
"""


def test_the_import_rules_hold() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert said.returncode == 0, said.stdout + said.stderr
    assert " 0 broken" in said.stdout


def test_an_import_makes_no_client_no_thread_and_no_process() -> None:
    said = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert said.returncode == 0, said.stderr
    assert int(said.stdout) > 50

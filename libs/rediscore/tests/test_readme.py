"""What the README says is run and compared."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from rediscore.settings import RedisSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.proves("R16")
@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippet_runs(snippet: str, redis_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", snippet],
        env={"REDIS_URL": redis_url},
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.returncode == 0, ended.stderr


def test_there_is_a_snippet() -> None:
    assert SNIPPETS


@pytest.mark.proves("R1")
def test_every_variable_is_listed() -> None:
    listed = set(re.findall(r"`(REDIS_\w+)`", README.partition("## Clients")[2].partition("## Scripts")[0]))

    assert listed == {f"REDIS_{name.upper()}" for name in RedisSettings.model_fields}

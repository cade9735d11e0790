"""The service as a process of its own, started by the line in its README."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from analytics_service.contract import FOLDER
from rediscore.embedded import free_port
from rediscore.testing import eventually


def line_of_the_readme(port: int, redis_url: str) -> str:
    """The command, with another port and Redis, so that tests can run side by side."""
    command = re.search(r"## Run it alone\n```bash\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL)
    assert command is not None
    line, ports = re.subn(r"\bPORT=\d+", f"PORT={port}", command[1])
    line, redises = re.subn(r"REDIS_URL=\S+", f"REDIS_URL={redis_url}", line)
    assert (ports, redises) == (1, 1)
    return line


async def test_it_runs_by_its_readme_and_ends_with_0(tmp_path: Path, own_redis: str) -> None:
    port = free_port()
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {line_of_the_readme(port, own_redis)}"],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        stdout=subprocess.DEVNULL,
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:

            async def ready() -> bool:
                try:
                    return (await client.get("/health/ready")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(ready, within=60, every=0.05, what="the service is ready")
            assert (await client.get("/popular")).json() == {"items": [], "next": None}
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 20) == 0
        assert (tmp_path / "analytics.db").exists()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("missing", ["MANAGER_TOKEN", "SERVICE_TOKEN"])
def test_without_a_token_it_does_not_start_outside_the_demo(tmp_path: Path, missing: str) -> None:
    tokens = {
        f"{role}_TOKEN": f"{role}-0123456789abcdef" for role in ("COOK", "DRIVER", "MANAGER", "SERVICE")
    }
    environment = {name: value for name, value in (os.environ | tokens).items() if name != missing}
    ended = subprocess.run(
        [sys.executable, "-m", "analytics_service"],
        cwd=tmp_path,
        env=environment | {"ENVIRONMENT": "production"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("Cannot start:")
    assert missing in ended.stderr
    assert "0123456789abcdef" not in ended.stderr + ended.stdout

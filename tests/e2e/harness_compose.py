"""The pizzeria of compose.yaml, under a project name and on ports of its own, without the simulator."""

import asyncio
import json
import os
import re
import secrets
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from pizzeria.probe import answers
from rediscore.embedded import free_port

from tests.e2e.harness_backends import SHORT_TIMES
from tests.e2e.harness_snapshot import SERVICES

ROOT = Path(__file__).parents[2]


class Compose:
    """A back end (see `harness_backends.BackEnd`). Builds the images when they are not there."""

    name = "compose"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._project = f"pizzeria-e2e-{secrets.token_hex(4)}"
        self._ports = {service: free_port() for service in (*SERVICES, "redis")}
        self._tokens: dict[str, str] = {}
        self._redis_password = ""
        self._containers: dict[str, str] = {}

    @property
    def urls(self) -> Mapping[str, Sequence[str]]:
        return {service: [f"http://127.0.0.1:{self._ports[service]}"] for service in SERVICES}

    @property
    def tokens(self) -> Mapping[str, str]:
        return self._tokens

    @property
    def redis_url(self) -> str:
        return f"redis://:{self._redis_password}@127.0.0.1:{self._ports['redis']}/0"

    async def start(self) -> None:
        (self._folder / "compose.test.yaml").write_text(
            json.dumps(  # which is YAML
                {
                    "services": {
                        "redis": {"ports": [f"127.0.0.1:{self._ports['redis']}:6379"]},
                        **{name: {"environment": dict(values)} for name, values in SHORT_TIMES.items()},
                    }
                }
            )
        )
        await self._compose("build", "--quiet", *SERVICES, seconds=300)
        try:
            await self._compose("up", "--detach", "--wait", *SERVICES, seconds=120)
        except (AssertionError, TimeoutError) as error:
            said = await self._compose("logs", "--no-color", "--tail", "15", *SERVICES)
            raise AssertionError(f"{error}\n{said}") from error
        for process in (*SERVICES, "redis"):
            self._containers[process] = (await self._compose("ps", "--quiet", process)).strip()
        said = await self._compose("logs", "--no-color", "tokens")
        self._tokens = dict(re.findall(r"(\w+) token: (\w+)", said))
        self._redis_password = (
            await self._compose("exec", "-T", "redis", "cat", "/run/pizzeria/redis_password")
        ).strip()

    async def stop(self) -> None:
        await self._compose(
            "down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5", seconds=60
        )

    async def kill(self, process: str) -> None:
        await self._docker("kill", process)

    async def pause(self, process: str) -> None:
        await self._docker("pause", process)

    async def resume(self, process: str) -> None:
        if await self._inspect(process, "{{.State.Paused}}") == "true":
            await self._docker("unpause", process)

    async def up(self, process: str) -> None:
        # Killing by hand disables the restart policy, so it is on us to start it again; a running one stays.
        await self._docker("start", process)
        async with asyncio.timeout(30):
            while not await self._ready(process):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def incarnation(self, process: str) -> str:
        return await self._inspect(process, "{{.State.StartedAt}}")

    def log(self, process: str) -> str:
        container = self._containers.get(process, "")
        found = subprocess.run(["docker", "logs", "--tail", "20", container], capture_output=True, text=True)
        return found.stdout + found.stderr

    async def _ready(self, process: str) -> bool:
        if process not in SERVICES:
            return await self._inspect(process, "{{.State.Health.Status}}") == "healthy"
        return await answers(f"{self.urls[process][0]}/health/ready")

    async def _inspect(self, process: str, template: str) -> str:
        return await self._docker("inspect", process, "--format", template)

    async def _docker(self, command: str, process: str, *options: str) -> str:
        # Not by compose, which would see after the containers that this one needs as well.
        return (await _run(["docker", command, *options, self._containers[process]], {}, 20)).strip()

    async def _compose(self, *arguments: str, seconds: float = 30) -> str:
        files = ["--file", str(ROOT / "compose.yaml"), "--file", str(self._folder / "compose.test.yaml")]
        ports = {f"{service.upper()}_PORT": str(self._ports[service]) for service in SERVICES}
        command = ["docker", "compose", "--project-name", self._project, *files, *arguments]
        return await _run(command, ports, seconds)


async def _run(command: Sequence[str], environment: Mapping[str, str], seconds: float) -> str:
    """Standard output. Raises: AssertionError with what it wrote when it fails, TimeoutError."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(seconds):
            out, complaints = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, f"{' '.join(command)}:\n{complaints.decode()}{out.decode()}"
    return out.decode()

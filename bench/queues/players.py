"""The processes in which the libraries run, and what is asked of them."""

import asyncio
import json
import os
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rediscore.harness import Role

ROOT = Path(__file__).parents[2]
BESIDE, APART = ROOT / ".venv-bench/bin/python", ROOT / ".venv-bench-apart/bin/python"
BULLMQ = ROOT / "bench/queues/bullmq"


@dataclass(frozen=True)
class Library:
    """How one contender is started. It finds the server by REDIS_URL."""

    name: str
    role: Role
    program: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    needs: Path = BESIDE
    slow: bool = False
    """Fewer jobs are enough."""

    @property
    def installed(self) -> bool:
        return self.needs.exists()


def _ours(name: str, kind: str, transport: str = "multiplexed") -> Library:
    program = (str(BESIDE), "-m", "bench.queues.contenders.ours")
    return Library(name, Role.OURS, program, (kind, transport))


def _peer(
    name: str, module: str, *arguments: str, python: Path = BESIDE, role: Role = Role.PEER, slow: bool = False
) -> Library:
    program = (str(python), "-m", f"bench.queues.contenders.{module}")
    return Library(name, role, program, arguments, python, slow)


RAW_LIST = _peer("raw list", "raw_list", role=Role.RAW)
TASKS = _ours("tasks", "tasks")
TASKS_POOL = _ours("tasks, pool", "tasks", "pool")
RESULTS = _ours("tasks with results", "results")
QUEUE = _ours("queue", "queue")
QUEUE_POOL = _ours("queue, pool", "queue", "pool")
BULL = Library(
    "BullMQ",
    Role.PEER,
    ("node", str(BULLMQ / "player.mjs")),
    needs=BULLMQ / "node_modules/bullmq/package.json",
)
TASKIQ = _peer("taskiq, list", "taskiq", "list")
TASKIQ_STREAM = _peer("taskiq, stream", "taskiq", "stream")
SAQ = _peer("saq", "saq", python=APART)
STREAQ = _peer("streaq", "streaq")
ARQ = _peer("arq", "arq", python=APART, slow=True)
PEERS = (BULL, TASKIQ, TASKIQ_STREAM, SAQ, STREAQ, ARQ)

FASTSTREAM = _peer("FastStream", "streams", "faststream", role=Role.RAW)
FASTSTREAM_BATCH = _peer("FastStream, batches", "streams", "faststream-batch")
STREAM = Library("ours", Role.OURS, (str(BESIDE), "-m", "bench.queues.contenders.streams"), ("ours",))
STREAM_RAW = Library("ours, raw", Role.OURS, STREAM.program, ("ours-raw",))
STREAM_BATCH = Library("ours, batches", Role.OURS, STREAM.program, ("ours-batch",))


class Players:
    """The running processes, one per library, started when first asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.hung: Counter[str] = Counter()
        """How often a library did not answer in time."""
        self._running: dict[Library, Process] = {}

    async def ask(self, library: Library, verb: str, jobs: int = 0) -> dict[str, Any]:
        """Its answer. Raises: RuntimeError when the process ends instead."""
        process = self._running.get(library)
        if process is None:
            process = self._running[library] = await start(library, self.url)
        return await ask(process, library, verb, jobs)

    async def restart(self, library: Library) -> None:
        """It hangs: end it; who asks next finds a new one."""
        self.hung[library.name] += 1
        await stop([self._running.pop(library)])

    async def aclose(self) -> None:
        """End them all."""
        running, self._running = self._running, {}
        await stop(list(running.values()))


async def start(library: Library, url: str) -> Process:
    """Start the process of a library."""
    environment = {**os.environ, "REDIS_URL": url}  # with a password, so not among the arguments
    return await asyncio.create_subprocess_exec(
        *library.program, *library.arguments, cwd=ROOT, env=environment, stdin=PIPE, stdout=PIPE
    )


async def ask(process: Process, library: Library, verb: str, jobs: int = 0) -> dict[str, Any]:
    """One request and its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps({"do": verb, "jobs": jobs}).encode() + b"\n")
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"{library.name} ended instead of answering {verb}.")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def stop(processes: Sequence[Process]) -> None:
    """With no grace: nothing of theirs is needed any more."""
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.wait()

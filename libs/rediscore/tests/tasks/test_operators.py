"""What operators see and do over HTTP, on real queues with a worker beside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from rediscore.queue import NewEntry
from rediscore.retry import Backoff
from rediscore.tasks import Retry, TaskHandle, Tasks, Worker
from rediscore.tasks.board import Board
from rediscore.tasks.fastapi import tasks_router
from rediscore.testing import eventually

pytestmark = pytest.mark.proves("R17")

Start = Callable[..., Worker]
HOUR = timedelta(hours=1)


def app_of(tasks: Tasks, **options: Any) -> FastAPI:
    async def manager(authorization: Annotated[str, Header()] = "") -> None:
        if authorization != "Bearer let-me-in":
            raise HTTPException(401)

    app = FastAPI()
    app.include_router(tasks_router(tasks, dependencies=[Depends(manager)], **options), prefix="/ops/tasks")
    return app


def client_of(app: FastAPI, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://shop/ops/tasks", headers=headers
    )


@pytest.fixture
async def http(tasks: Tasks) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app_of(tasks), authorization="Bearer let-me-in") as client:
        yield client


async def calls(http: httpx.AsyncClient, state: str, **more: Any) -> list[dict[str, Any]]:
    answer = await http.get("/calls", params={"state": state} | more)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_every_state_is_shown_with_what_matters(
    tasks: Tasks, start: Start, http: httpx.AsyncClient
) -> None:
    began = asyncio.Event()

    @tasks.task(retry=Retry(max_attempts=2, backoff=Backoff(60, 60, jitter=False)))
    async def refund() -> None:
        raise ConnectionError("The provider is away.")

    @tasks.task(retry=Retry(max_attempts=1), show_arguments=True)
    async def notify(kind: str) -> None:
        raise ValueError("There is no such template.")

    @tasks.task()
    async def export(customer: str) -> None:
        began.set()
        await asyncio.sleep(60)

    @tasks.task(every=HOUR)
    def sweep() -> None: ...

    start(concurrency=1, name="ada")
    await refund.apply_async(task_id="refund-1")
    await notify.apply_async(["late"], task_id="notify-1")
    await eventually(lambda: tasks.meter.counts["dead"] == 1)
    await export.apply_async(["mario@example.org"], task_id="export-1")
    await began.wait()
    await export.apply_async(["luigi@example.org"], task_id="export-2", priority="high")
    await export.apply_async(["peach@example.org"], task_id="export-3", countdown=HOUR)

    (running,) = await calls(http, "running")
    assert (running["id"], running["task"], running["owner"]) == ("export-1", "export", "ada")
    (queued,) = await calls(http, "queued")
    assert (queued["id"], queued["priority"], queued["owner"]) == ("export-2", "high", "")
    (scheduled,) = await calls(http, "scheduled")
    assert scheduled["id"] == "export-3"
    (failed,) = await calls(http, "failed")
    assert (failed["id"], failed["state"], failed["failures"]) == ("refund-1", "failed", 1)
    assert failed["reason"].startswith("ConnectionError: The provider is away.\n")
    (dead,) = await calls(http, "dead")
    assert (dead["id"], dead["failures"], dead["arguments"]) == ("notify-1", 1, ["late"])
    assert 'raise ValueError("There is no such template.")' in dead["reason"]
    assert "rediscore/tasks" not in dead["reason"]

    # Arguments are hidden where the task does not say otherwise.
    for call in (running, queued, scheduled, failed):
        assert (call["arguments"], call["named_arguments"]) == (None, None)
    assert "example.org" not in (await http.get("/calls/export-1")).text

    # Workers tell of themselves every two seconds.
    async def told() -> bool:
        seen = (await http.get("/overview")).json()
        return len(seen["workers"]) == 1 and "export-1" in seen["workers"][0]["running"]

    await eventually(told)
    seen = (await http.get("/overview")).json()
    assert seen["counts"] == {"running": 1, "queued": 1, "scheduled": 1, "failed": 1, "dead": 1}
    assert seen["oldest_age_seconds"] >= 0
    assert seen["priorities"] == ["high", "standard", "low"]
    (worker,) = seen["workers"]
    assert (worker["name"], worker["concurrency"], worker["counts"]["dead"]) == ("ada", 1, 1)
    assert {task["name"]: task["in_thread"] for task in seen["tasks"]} == {
        "refund": False,
        "notify": False,
        "export": False,
        "sweep": True,
    }
    (periodic,) = seen["schedule"]
    assert (periodic["task"], periodic["schedule"]) == ("sweep", "every 1:00:00")
    assert periodic["next_at"] > seen["now"]
    assert (await calls(http, "running"))[0]["started_at"] is not None

    ended = (await http.get("/ended")).json()["items"]
    # Newest first; these two may have ended in the same millisecond.
    assert {(end["id"], end["outcome"], end["worker"]) for end in ended} == {
        ("notify-1", "dead", "ada"),
        ("refund-1", "failed", "ada"),
    }


async def test_pages_filters_and_single_calls(tasks: Tasks, http: httpx.AsyncClient) -> None:
    @tasks.task()
    async def mail(number: int) -> None: ...

    @tasks.task(name="mail again")
    async def other(number: int) -> None: ...

    for number in range(7):
        await mail.apply_async([number], task_id=f"mail/{number}")
    await other.apply_async([7], task_id="other")

    first = (await http.get("/calls", params={"state": "queued", "limit": 3})).json()
    assert [call["id"] for call in first["items"]] == ["mail/0", "mail/1", "mail/2"]
    rest = (await http.get("/calls", params={"state": "queued", "skip": first["next"]})).json()
    assert ([call["id"] for call in rest["items"]][-2:], rest["next"]) == (["mail/6", "other"], None)
    assert [call["id"] for call in await calls(http, "queued", task="mail again")] == ["other"]
    assert len(await calls(http, "queued", task="mail")) == 7
    assert (await http.get("/calls/mail/3")).json()["id"] == "mail/3"
    assert (await http.get("/calls/nobody")).status_code == 404
    assert (await http.get("/calls", params={"state": "asleep"})).status_code == 422
    assert (await http.get("/calls", params={"state": "queued", "skip": 10**18})).status_code == 422


async def test_the_dead_newest_first_and_retried_one_or_all(tasks: Tasks, http: httpx.AsyncClient) -> None:
    @tasks.task()
    async def mail() -> None: ...

    @tasks.task()
    async def call() -> None: ...

    for number in range(3):
        await mail.apply_async(task_id=f"mail-{number}")
    await call.apply_async(task_id="call-1")
    for claim in await tasks.queue.claim_many("nobody", 4):
        await tasks.queue.nack(claim.entry_id, claim.token, reason="away", max_attempts=1)
        await asyncio.sleep(0.002)  # the times of death are milliseconds

    assert [dead["id"] for dead in await calls(http, "dead")] == ["call-1", "mail-2", "mail-1", "mail-0"]
    one = (await http.post("/retry", json={"ids": ["mail-1", "unknown"]})).json()
    assert one == {"done": ["mail-1"], "not_done": ["unknown"]}
    assert (await http.post("/retry", json={"task": "mail"})).json()["done"] == ["mail-0", "mail-2"]
    assert [dead["id"] for dead in await calls(http, "dead")] == ["call-1"]
    assert (await http.post("/retry", json={})).json()["done"] == ["call-1"]
    queued = await calls(http, "queued")
    assert {entry["failures"] for entry in queued} == {0}
    assert len(queued) == 4


async def test_cancel_run_now_and_change_the_class(
    tasks: Tasks, start: Start, http: httpx.AsyncClient
) -> None:
    began, ended, order = asyncio.Event(), asyncio.Event(), list[str]()

    @tasks.task()
    async def long() -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    @tasks.task()
    async def note(name: str) -> None:
        order.append(name)

    start(concurrency=1)
    await long.apply_async(task_id="long")
    await began.wait()
    for name in ("first", "gone", "second"):
        await note.apply_async([name], task_id=name)
    await note.apply_async(["later"], task_id="later", countdown=HOUR)

    assert (await http.post("/prioritise", json={"ids": ["second"], "priority": "high"})).json() == {
        "done": ["second"],
        "not_done": [],
    }
    assert (await http.post("/prioritise", json={"ids": ["second"], "priority": "vip"})).status_code == 422
    assert (await http.post("/run-now", json={"ids": ["later"]})).json()["done"] == ["later"]
    cancelled = (await http.post("/cancel", json={"ids": ["gone", "long", "unknown"]})).json()

    assert cancelled == {"done": ["gone", "long"], "not_done": ["unknown"]}
    await asyncio.wait_for(ended.wait(), 10)
    await eventually(lambda: order == ["second", "first", "later"])


async def test_nobody_sees_or_does_anything_without_a_token(tasks: Tasks) -> None:
    app = app_of(tasks)
    async with client_of(app) as http:
        for method, path in [
            ("GET", "/overview"),
            ("GET", "/calls?state=dead"),
            ("GET", "/calls/x"),
            ("GET", "/ended"),
            ("POST", "/retry"),
            ("POST", "/cancel"),
            ("POST", "/run-now"),
            ("POST", "/prioritise"),
        ]:
            assert (await http.request(method, path)).status_code == 401, path
    guarded = {route for route in app.openapi()["paths"] if route.startswith("/ops/tasks")}
    assert len(guarded) == 8  # a new route must stand in the list above


async def test_the_page_is_open_whole_and_bound_to_itself(tasks: Tasks) -> None:
    async with client_of(app_of(tasks)) as http:
        page = await http.get("/")
    policy = page.headers["content-security-policy"]
    assert page.status_code == 200
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert "https://" not in page.text
    assert "http://" not in page.text


async def test_wrong_orders_are_refused(http: httpx.AsyncClient) -> None:
    for path, body in [
        ("/cancel", {"ids": []}),
        ("/cancel", {"ids": ["x"], "force": True}),
        ("/retry", {"most": 0}),
        ("/retry", {"idz": ["x"]}),
        ("/run-now", {"ids": [""]}),
    ]:
        assert (await http.post(path, json=body)).status_code == 422, body


async def test_arguments_of_all_tasks_where_the_router_says_so(tasks: Tasks) -> None:
    @tasks.task()
    async def mail(to: str, *, subject: str) -> None: ...

    await mail.apply_async(["mario@example.org"], {"subject": "Hello"}, task_id="mail-1")
    await tasks.queue.add_many([NewEntry("torn", b'{"a'), NewEntry("alien", b'["fly", [1], {}, null]')])
    app = app_of(tasks, show_arguments=True)
    async with client_of(app, authorization="Bearer let-me-in") as http:
        mail_1, torn, alien = await calls(http, "queued")

    assert (mail_1["arguments"], mail_1["named_arguments"]) == (["mario@example.org"], {"subject": "Hello"})
    assert (torn["task"], torn["arguments"]) == ("", None)
    assert (alien["task"], alien["arguments"]) == ("fly", [1])


async def test_a_page_of_a_part_goes_on_where_the_last_one_ended(tasks: Tasks) -> None:
    """Failed ones lie between scheduled ones: each is shown once, however the pages are cut."""

    @tasks.task()
    async def work() -> None: ...

    handles: list[TaskHandle[None]] = [await work.apply_async(task_id=f"f{n}") for n in range(6)]
    for claim in await tasks.queue.claim_many("nobody", 6):
        await tasks.queue.nack(claim.entry_id, claim.token, delay=HOUR * int(claim.entry_id[1:]) + HOUR)
    for n in range(6):
        await work.apply_async(task_id=f"s{n}", countdown=HOUR * n + HOUR * 1.5)
    board = Board(tasks)

    for state, letter in (("failed", "f"), ("scheduled", "s")):
        seen: list[str] = []
        skip: int | None = 0
        while skip is not None:
            page = await board.calls(state, most=4, skip=skip)  # type: ignore[arg-type]
            assert len(page.items) <= 4
            seen += [call.id for call in page.items]
            skip = page.next
        assert seen == [f"{letter}{n}" for n in range(6)]
    assert (await board.overview()).counts.failed == len(handles)


async def test_a_worker_that_is_gone_is_shown_no_more(tasks: Tasks, start: Start) -> None:
    worker = start(name="ada")

    async def workers() -> list[str]:
        return [worker.name for worker in (await tasks.presence.watch()).workers]

    async def one() -> bool:
        return await workers() == ["ada"]

    async def none() -> bool:
        return await workers() == []

    await eventually(one)
    worker.stop()
    await eventually(none)

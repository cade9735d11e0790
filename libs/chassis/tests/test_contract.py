"""What a service says of itself is committed, and a change of it is noticed."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from pizzeria_chassis import contract


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FastAPI:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    shop = import_module("shop.app")
    settings = shop.ShopSettings(environment="demo", database_url=f"sqlite:///{tmp_path}/shop.db")
    made: FastAPI = shop.create(settings)
    return made


def test_write_then_check(app: FastAPI, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        contract.main(tmp_path, lambda: app, ["check"])
    assert ended.value.code == 1
    assert "asyncapi.json" in capsys.readouterr().err
    contract.main(tmp_path, lambda: app, ["write"])
    contract.main(tmp_path, lambda: app, ["check"])
    assert contract.differences(tmp_path, app) == []
    (tmp_path / "openapi.json").write_text("{}")
    assert contract.differences(tmp_path, app) == ["openapi.json"]


def test_another_word_is_refused(app: FastAPI, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        contract.main(tmp_path, lambda: app, ["destroy"])
    assert ended.value.code == 2


def test_openapi_has_what_all_services_have(app: FastAPI) -> None:
    paths = json.loads(contract.documents(app)["openapi.json"])["paths"]
    assert {
        "/health/live", "/health/ready", "/metrics", "/events", "/events/head", "/events/positions",
    } <= paths.keys()  # fmt: skip


def test_asyncapi_names_what_is_published_and_what_is_consumed(app: FastAPI) -> None:
    document: dict[str, Any] = json.loads(contract.documents(app)["asyncapi.json"])
    assert document["asyncapi"].startswith("3.")
    text = json.dumps(document)
    assert "orders.events" in text
    assert "kitchen.events" in text
    assert "TicketStarted" in text
    assert "OrderPlaced" in text

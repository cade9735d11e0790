"""A service starts with complete settings or says in a sentence what is missing."""

from pathlib import Path
from typing import Any

import pytest
from pizzeria_chassis.errors import SettingsError
from pizzeria_chassis.settings import STAFF, Port, ServiceSettings, load_settings
from pizzeria_chassis.testing import TOKENS
from pydantic import ValidationError


class ShopSettings(ServiceSettings):
    service_name: str = "shop"
    port: Port = 8001


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENVIRONMENT", "DATABASE_URL", "PORT", "HOST"):
        monkeypatch.delenv(name, raising=False)
    for role in STAFF:
        monkeypatch.delenv(f"{role.upper()}_TOKEN", raising=False)
        monkeypatch.delenv(f"{role.upper()}_TOKEN_FILE", raising=False)


def _all_tokens(monkeypatch: pytest.MonkeyPatch, **changed: str) -> None:
    for role, token in TOKENS.items():
        monkeypatch.setenv(f"{role.upper()}_TOKEN", changed.get(role, token))


def test_without_tokens_it_refuses_to_start_outside_the_demo(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        load_settings(ShopSettings)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "COOK_TOKEN, DRIVER_TOKEN, MANAGER_TOKEN, SERVICE_TOKEN missing" in said
    assert "ENVIRONMENT=demo" in said, "the sentence says what to do"


def test_one_missing_token_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _all_tokens(monkeypatch)
    monkeypatch.delenv("DRIVER_TOKEN")
    with pytest.raises(SettingsError, match=r"^DRIVER_TOKEN missing"):
        ShopSettings()


def test_the_demo_starts_without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "demo")
    assert ShopSettings().tokens == {}


def test_tokens_come_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for role, token in TOKENS.items():
        file = tmp_path / role
        file.write_text(f"{token}\n")
        monkeypatch.setenv(f"{role.upper()}_TOKEN_FILE", str(file))
    assert {role: token.get_secret_value() for role, token in ShopSettings().tokens.items()} == TOKENS


def test_a_token_and_its_file_together_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _all_tokens(monkeypatch)
    monkeypatch.setenv("COOK_TOKEN_FILE", str(tmp_path / "cook"))
    with pytest.raises(SettingsError, match="COOK_TOKEN and COOK_TOKEN_FILE are both set"):
        ShopSettings()


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _all_tokens(monkeypatch)
    monkeypatch.delenv("COOK_TOKEN")
    monkeypatch.setenv("COOK_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="COOK_TOKEN_FILE cannot be read: No such file"):
        ShopSettings()


def test_two_roles_with_one_token_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _all_tokens(monkeypatch, driver=TOKENS["manager"])
    with pytest.raises(SettingsError, match="two roles have the same token"):
        ShopSettings()


def test_short_tokens_are_refused_outside_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    _all_tokens(monkeypatch, cook="guessme")
    with pytest.raises(SettingsError, match="COOK_TOKEN too short"):
        ShopSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PORT", "70000"), ("ENVIRONMENT", "test"), ("GRACE_SECONDS", "-7"), ("STREAM_PARTITIONS", "none")],
)
def test_a_wrong_variable_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    _all_tokens(monkeypatch)
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        ShopSettings()
    assert name in str(error.value)
    assert value not in str(error.value)


def test_no_secret_is_ever_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    _all_tokens(monkeypatch)
    monkeypatch.setenv("DATABASE_URL", "postgresql://shop:hunter2@db/shop")
    settings = ShopSettings()
    shown = f"{settings!r} {settings} {settings.model_dump_json()}"
    assert "hunter2" not in shown
    assert not [token for token in TOKENS.values() if token in shown]


def test_settings_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    _all_tokens(monkeypatch)
    settings: Any = ShopSettings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1

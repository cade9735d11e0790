"""Settings: what is wrong is said at start, by name, and never with the secret."""

import pytest
from pydantic import ValidationError
from rediscore.errors import SettingsError
from rediscore.settings import RedisSettings

pytestmark = pytest.mark.proves("R1")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("REDIS_"):
            monkeypatch.delenv(name)


def test_address_of_every_part() -> None:
    settings = RedisSettings.from_url("rediss://anna:p%40ss@[::1]:7000/3")

    assert (settings.host, settings.port, settings.db, settings.tls) == ("::1", 7000, 3, True)
    assert settings.username == "anna"
    assert settings.password is not None
    assert settings.password.get_secret_value() == "p@ss"


def test_environment_with_single_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "cache.example")
    monkeypatch.setenv("REDIS_POOL_SIZE", "7")
    monkeypatch.setenv("REDIS_DB", "")  # compose files pass empty values for what is not set

    settings = RedisSettings()

    assert (settings.host, settings.port, settings.pool_size, settings.db) == ("cache.example", 6379, 7, 0)


def test_environment_with_address_and_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@cache.example/2")
    monkeypatch.setenv("REDIS_SOCKET_TIMEOUT", "0.5")

    settings = RedisSettings()

    assert settings.address == "redis://cache.example:6379/2"
    assert settings.socket_timeout == 0.5


def test_explicit_address_does_not_mix_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "elsewhere.example")

    assert RedisSettings.from_url("redis://here.example").host == "here.example"


def test_retry_budget_comes_from_the_settings() -> None:
    budget = RedisSettings.from_url("redis://h", retries=7, retry_budget=3, backoff_initial=0.1).retry

    assert (budget.retries, budget.seconds, budget.backoff.initial) == (7, 3, 0.1)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("REDIS_PORT", "70000", "REDIS_PORT: "),
        ("REDIS_PORT", "six", "REDIS_PORT: "),
        ("REDIS_POOL_SIZE", "0", "REDIS_POOL_SIZE: "),
        ("REDIS_SOCKET_TIMEOUT", "0", "REDIS_SOCKET_TIMEOUT: "),
        ("REDIS_RETRIES", "-1", "REDIS_RETRIES: "),
        ("REDIS_POOLSIZE", "5", "REDIS_POOLSIZE is no setting of rediscore: did you mean REDIS_POOL_SIZE?"),
        ("REDIS_PASWORD", "s3cret", "REDIS_PASWORD is no setting of rediscore: did you mean REDIS_PASSWORD?"),
        ("REDIS_URL", "localhost:6379", "REDIS_URL must look like redis://"),
        ("REDIS_URL", "redis://:s3cret@host:port/0", "REDIS_URL must look like redis://"),
        ("REDIS_URL", "redis://host/one", "REDIS_URL must look like redis://"),
        ("REDIS_URL", "redis://host?socket_timeout=5", "REDIS_SOCKET_TIMEOUT"),
        ("REDIS_USERNAME", "anna", "REDIS_USERNAME without REDIS_PASSWORD"),
        ("REDIS_TLS_CA_FILE", "/nowhere/ca.pem", "REDIS_TLS_CA_FILE without TLS"),
        ("REDIS_BACKOFF_MAXIMUM", "0.001", "REDIS_BACKOFF_MAXIMUM"),
        ("REDIS_CLIENT_NAME", "two words", "REDIS_CLIENT_NAME: "),
    ],
)
def test_refused_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(SettingsError) as refusal:
        RedisSettings()

    assert said in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_address_and_field_that_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@one.example")
    monkeypatch.setenv("REDIS_HOST", "two.example")
    monkeypatch.setenv("REDIS_PASSWORD", "other")

    with pytest.raises(SettingsError, match="leave REDIS_HOST, REDIS_PASSWORD out"):
        RedisSettings()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tls_cert_file": __file__}, "go together"),
        ({"tls_ca_file": "/nowhere/ca.pem"}, "REDIS_TLS_CA_FILE must name a file that exists"),
    ],
)
def test_tls_files_that_cannot_work(files: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        RedisSettings.from_url("rediss://h", **files)


def test_service_links_of_kubernetes_are_nobodys_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("REDIS_PORT_6379_TCP_ADDR", "10.0.0.1")

    assert RedisSettings().host == "127.0.0.1"


def test_password_is_never_printed() -> None:
    settings = RedisSettings.from_url("redis://anna:s3cret@h")

    for text in (repr(settings), str(settings), settings.address, settings.model_dump_json()):
        assert "s3cret" not in text


def test_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RedisSettings.from_url("redis://h").port = 1  # type: ignore[misc]

"""Settings: what is wrong is said at start, by name, and never with the secret."""

import subprocess
import sys

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


def test_primary_that_sentinels_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_SENTINELS", "one.example:26379, [::1]:26380")
    monkeypatch.setenv("REDIS_SENTINEL_MASTER", "orders")
    monkeypatch.setenv("REDIS_SENTINEL_PASSWORD", "s3cret")
    monkeypatch.setenv("REDIS_DB", "2")

    settings = RedisSettings()

    assert settings.sentinels == (("one.example", 26379), ("::1", 26380))
    assert settings.address == "redis+sentinel://one.example:26379,[::1]:26380/orders/2"
    assert "s3cret" not in settings.model_dump_json() + repr(settings)


def test_cluster_by_its_nodes_or_by_the_address_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    named = RedisSettings(cluster_nodes="a:7000,b:7000", password="s3cret", tls=True)
    monkeypatch.setenv("REDIS_URL", "redis://:s3cret@a:7000")
    monkeypatch.setenv("REDIS_CLUSTER", "true")
    addressed = RedisSettings()

    assert (named.cluster, named.address) == (True, "rediss+cluster://a:7000,b:7000")
    assert (addressed.cluster, addressed.address) == (True, "redis+cluster://a:7000")


def test_servers_named_in_code_do_not_mix_with_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere.example")
    monkeypatch.setenv("REDIS_TYPO", "1")

    assert RedisSettings(cluster_nodes="here:7000").cluster_nodes == (("here", 7000),)
    assert RedisSettings(sentinels="here:1", sentinel_master="m").sentinels == (("here", 1),)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"SENTINELS": "a:1"}, "REDIS_SENTINELS and REDIS_SENTINEL_MASTER go together"),
        ({"SENTINEL_MASTER": "m"}, "REDIS_SENTINELS and REDIS_SENTINEL_MASTER go together"),
        ({"SENTINELS": "a", "SENTINEL_MASTER": "m"}, "REDIS_SENTINELS: must look like host:port,host:port"),
        ({"SENTINELS": "a:70000", "SENTINEL_MASTER": "m"}, "REDIS_SENTINELS: must look like"),
        ({"SENTINELS": "u:s3cret@a:1", "SENTINEL_MASTER": "m"}, "REDIS_SENTINELS: must look like"),
        ({"SENTINELS": "a:1,a:1", "SENTINEL_MASTER": "m"}, "REDIS_SENTINELS: names one address twice"),
        ({"SENTINELS": "a:1", "SENTINEL_MASTER": "m", "HOST": "h"}, "leave REDIS_HOST"),
        ({"SENTINELS": "a:1", "SENTINEL_MASTER": "m", "URL": "redis://:s3cret@h"}, "the host in REDIS_URL"),
        ({"SENTINELS": "a:1", "SENTINEL_MASTER": "m", "CLUSTER": "true"}, "exclude each other"),
        ({"SENTINEL_PASSWORD": "s3cret"}, "REDIS_SENTINEL_PASSWORD without REDIS_SENTINELS"),
        (
            {"SENTINELS": "a:1", "SENTINEL_MASTER": "m", "SENTINEL_USERNAME": "u"},
            "REDIS_SENTINEL_USERNAME without",
        ),
        ({"SENTINEL": "a:1"}, "REDIS_SENTINEL is no setting of rediscore: did you mean REDIS_SENTINELS?"),
        ({"CLUSTER": "true", "DB": "1"}, "A cluster has database 0 only"),
        ({"CLUSTER_NODES": "a:1", "CLUSTER": "false"}, "REDIS_CLUSTER_NODES with REDIS_CLUSTER=false"),
        (
            {"CLUSTER_NODES": "a:1", "PORT": "7000"},
            "REDIS_CLUSTER_NODES already says where; leave REDIS_PORT",
        ),
        ({"TRANSPORT": "pigeon"}, "REDIS_TRANSPORT: "),
    ],
)
def test_servers_that_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], said: str
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"REDIS_{name}", value)

    with pytest.raises(SettingsError) as refusal:
        RedisSettings()

    assert said in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_settings_need_no_client_library() -> None:
    """The command line reads settings before it knows whether it needs Redis."""
    code = "import rediscore.settings, rediscore.embedded, sys; sys.exit('redis' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


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

"""Where Redis is and how patient we are with it: one frozen object, checked at start."""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from rediscore.addresses import Address, addresses, parts_of_url, written
from rediscore.backoff import Backoff, RetryBudget
from rediscore.errors import SettingsError

Seconds = Annotated[float, Field(gt=0, le=3600)]
Addresses = Annotated[tuple[Address, ...], NoDecode, BeforeValidator(addresses)]

# Kubernetes puts these beside every container when a service is called "redis"; they are nobody's typo.
_SERVICE_LINKS = re.compile(r"REDIS_(SERVICE_(HOST|PORT)(_\w+)?|PORT_\d+_(TCP|UDP)(_\w+)?)")

# Who says in code where the servers are wants nothing from the environment.
_WHERE = {"url", "sentinels", "cluster_nodes"}


class RedisSettings(BaseSettings):
    """Everything about the connection, from `REDIS_*` or from keyword arguments.

    One server: `REDIS_URL` (`redis://user:password@host:6379/0`, `rediss://` for TLS) or the single fields.
    The primary that Sentinel names: `REDIS_SENTINELS` and `REDIS_SENTINEL_MASTER`. A cluster:
    `REDIS_CLUSTER_NODES`, or `REDIS_CLUSTER=true` with the address of any node.
    With an explicit `url`, `sentinels` or `cluster_nodes` the environment is not read at all. All times
    are seconds.

    Raises: SettingsError that names each wrong, contradictory or misspelt variable, and no secret.
    """

    model_config = SettingsConfigDict(env_prefix="REDIS_", env_ignore_empty=True, frozen=True, extra="forbid")

    url: SecretStr | None = Field(default=None, exclude=True, repr=False, description="taken apart at start")
    host: str = "127.0.0.1"
    port: int = Field(default=6379, ge=1, le=65535)
    db: int = Field(default=0, ge=0)
    username: str | None = None
    password: SecretStr | None = None

    sentinels: Addresses = ()
    sentinel_master: str | None = Field(default=None, min_length=1)
    sentinel_username: str | None = None
    sentinel_password: SecretStr | None = None
    cluster: bool = False
    cluster_nodes: Addresses = ()

    transport: Literal["pool", "multiplexed"] = "pool"

    tls: bool = False
    tls_ca_file: Path | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None

    pool_size: int = Field(default=32, ge=1, le=10_000)
    pool_timeout: Seconds = Field(default=2.0, description="longest wait for a free connection")
    blocking_pool_size: int = Field(default=64, ge=1, le=10_000)
    connect_timeout: Seconds = 2.0
    socket_timeout: Seconds = 2.0
    keepalive: bool = True
    health_check_interval: float = Field(default=15.0, ge=0, description="PING before use after so long idle")

    retries: int = Field(default=6, ge=0, le=100, description="of what is safe to send twice")
    retry_budget: Seconds = 5.0
    backoff_initial: Seconds = 0.02
    backoff_maximum: Seconds = 0.5

    client_name: str | None = Field(default=None, pattern=r"^[!-~]+$")

    def __init__(self, **values: Any) -> None:
        if not _WHERE & values.keys():
            _refuse_unknown_variables(type(self))
        try:
            super().__init__(**values)
        except ValidationError as error:
            # `from None`: a chained traceback would print what the sentence leaves out.
            raise SettingsError(_sentence(error)) from None

    @classmethod
    def from_url(cls, url: str, **values: Any) -> Self:
        """Settings from an address and keyword arguments alone; the environment is not read."""
        return cls(url=url, **values)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,) if _WHERE & init_settings().keys() else (init_settings, env_settings)

    @model_validator(mode="before")
    @classmethod
    def _take_url_apart(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("cluster_nodes"):
            values = {"cluster": True, **values}
        url = values.pop("url", None)
        if url is None:
            return values
        parts = parts_of_url(url.get_secret_value() if isinstance(url, SecretStr) else str(url))
        if twice := sorted(parts.keys() & values.keys()):
            raise ValueError(f"REDIS_URL already says {', '.join(twice)}; leave {_variables(twice)} out")
        return values | parts

    @model_validator(mode="after")
    def _agree(self) -> Self:
        files = {name: getattr(self, name) for name in ("tls_ca_file", "tls_cert_file", "tls_key_file")}
        given = [name for name, path in files.items() if path is not None]
        if given and not self.tls:
            raise ValueError(f"{_variables(given)} without TLS: set REDIS_TLS=true or use rediss://")
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE go together: set both or neither")
        if missing := [name for name in given if not files[name].is_file()]:
            raise ValueError(f"{_variables(missing)} must name a file that exists")
        if self.username is not None and self.password is None:
            raise ValueError("REDIS_USERNAME without REDIS_PASSWORD: set both")
        self._agree_about_servers()
        if self.backoff_maximum < self.backoff_initial:
            raise ValueError("REDIS_BACKOFF_MAXIMUM must not be less than REDIS_BACKOFF_INITIAL")
        return self

    def _agree_about_servers(self) -> None:
        if self.sentinels and self.cluster:
            raise ValueError("REDIS_SENTINELS and a cluster exclude each other: set one of them")
        if bool(self.sentinels) != (self.sentinel_master is not None):
            raise ValueError("REDIS_SENTINELS and REDIS_SENTINEL_MASTER go together: set both or neither")
        if self.sentinel_password is not None and not self.sentinels:
            raise ValueError("REDIS_SENTINEL_PASSWORD without REDIS_SENTINELS: set both")
        if self.sentinel_username is not None and self.sentinel_password is None:
            raise ValueError("REDIS_SENTINEL_USERNAME without REDIS_SENTINEL_PASSWORD: set both")
        if self.cluster_nodes and not self.cluster:
            raise ValueError("REDIS_CLUSTER_NODES with REDIS_CLUSTER=false: leave one of them out")
        if self.cluster and self.db:
            raise ValueError("A cluster has database 0 only: leave REDIS_DB out")
        several = "REDIS_SENTINELS" if self.sentinels else "REDIS_CLUSTER_NODES"
        given = sorted({"host", "port"} & self.model_fields_set)
        if given and (self.sentinels or self.cluster_nodes):
            raise ValueError(
                f"{several} already says where; leave {_variables(given)} (or the host in REDIS_URL) out"
            )

    @property
    def address(self) -> str:
        """Where it is, for logs and health reports: no user, no password."""
        tls = "s" if self.tls else ""
        if self.sentinels:
            return f"redis{tls}+sentinel://{written(self.sentinels)}/{self.sentinel_master}/{self.db}"
        if self.cluster:
            return f"redis{tls}+cluster://{written(self.cluster_nodes or ((self.host, self.port),))}"
        return f"redis{tls}://{self.host}:{self.port}/{self.db}"

    @property
    def repeat_ms(self) -> int:
        """How long the server must recognise a request that is sent again: no sender tries for longer."""
        patience = self.retry_budget + 2 * (self.pool_timeout + self.connect_timeout + self.socket_timeout)
        return round(patience * 1000)

    @property
    def retry(self) -> RetryBudget:
        """How long reads and repeatable operations are tried."""
        backoff = Backoff(self.backoff_initial, self.backoff_maximum)
        return RetryBudget(self.retries, backoff, self.retry_budget)


def _variables(names: list[str]) -> str:
    return ", ".join(f"REDIS_{name.upper()}" for name in names)


def _refuse_unknown_variables(settings: type[BaseSettings]) -> None:
    known = {f"REDIS_{name.upper()}" for name in settings.model_fields}
    for variable in sorted(os.environ):
        name = variable.upper()
        if not name.startswith("REDIS_") or name in known or _SERVICE_LINKS.fullmatch(name):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]}?" if near else "remove it."
        raise SettingsError(f"{variable} is no setting of rediscore: {hint}")


def _sentence(error: ValidationError) -> str:
    """One line for the operator: which variable, what is wrong, never the value."""
    faults = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        where = "".join(f"REDIS_{str(part).upper()}: " for part in fault["loc"][:1])
        faults.append(where + fault["msg"].removeprefix("Value error, "))
    return "; ".join(faults) + "."

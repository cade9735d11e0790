"""Settings of a service: one frozen object from the environment, checked at start."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from rediscore.errors import SettingsError as RedisSettingsError
from rediscore.settings import RedisSettings

from pizzeria_chassis.errors import SettingsError

__all__ = ["STAFF", "Port", "ServiceSettings", "Staff", "load_settings"]

Staff = Literal["cook", "driver", "manager", "service"]
STAFF: Final[tuple[Staff, ...]] = ("cook", "driver", "manager", "service")
MIN_TOKEN_LENGTH: Final = 16
Port = Annotated[int, Field(ge=0, le=65535)]


class ServiceSettings(BaseSettings):
    """What every service reads from the environment; a service adds its own fields in a subclass.

    Variables are the upper-case field names without prefix, because each service is a process of its own.
    Tokens come from ``COOK_TOKEN`` … or from a file named by ``COOK_TOKEN_FILE`` …; outside the demo all
    four must be there, differ, and have at least 16 characters.

    Raises:
        SettingsError: names every wrong variable, never a value.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    service_name: str
    environment: Literal["demo", "production"] = "production"
    host: str = "127.0.0.1"
    port: Port
    database_url: SecretStr = SecretStr("sqlite:///pizzeria.db")
    redis: RedisSettings = Field(default_factory=RedisSettings)

    cook_token: SecretStr | None = None
    driver_token: SecretStr | None = None
    manager_token: SecretStr | None = None
    service_token: SecretStr | None = None
    cook_token_file: Path | None = None
    driver_token_file: Path | None = None
    manager_token_file: Path | None = None
    service_token_file: Path | None = None

    order_url: str = "http://127.0.0.1:8001"
    kitchen_url: str = "http://127.0.0.1:8002"
    menu_url: str = "http://127.0.0.1:8003"
    analytics_url: str = "http://127.0.0.1:8004"

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    stream_partitions: Annotated[int, Field(ge=1, le=256)] = 1
    stream_lease_seconds: Annotated[float, Field(ge=1, le=300)] = 5.0
    inbox_retention_hours: Annotated[float, Field(gt=0)] = 168.0
    grace_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            # `from None`: a chained traceback would print what the sentence leaves out.
            raise SettingsError(_sentence(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _read_token_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for role in STAFF:
            file = values.get(f"{role}_token_file")
            if file is None:
                continue
            if values.get(f"{role}_token") is not None:
                raise ValueError(f"{role.upper()}_TOKEN and {role.upper()}_TOKEN_FILE are both set; keep one")
            try:
                values[f"{role}_token"] = Path(file).read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"{role.upper()}_TOKEN_FILE cannot be read: {error.strerror}") from None
        return values

    @model_validator(mode="after")
    def _check_tokens(self) -> Self:
        tokens = self.tokens
        if self.environment != "demo":
            if missing := [role for role in STAFF if role not in tokens]:
                names = ", ".join(f"{role.upper()}_TOKEN" for role in missing)
                raise ValueError(f"{names} missing; set it or its _FILE variant, or ENVIRONMENT=demo")
            if short := [role for role, token in tokens.items() if len(token) < MIN_TOKEN_LENGTH]:
                names = ", ".join(f"{role.upper()}_TOKEN" for role in short)
                raise ValueError(f"{names} too short; use at least {MIN_TOKEN_LENGTH} random characters")
        if len({token.get_secret_value() for token in tokens.values()}) < len(tokens):
            raise ValueError("two roles have the same token; give each its own")
        return self

    @property
    def tokens(self) -> Mapping[Staff, SecretStr]:
        """The token of each role that has one."""
        found = {role: getattr(self, f"{role}_token") for role in STAFF}
        return {role: token for role, token in found.items() if token is not None and len(token)}


SettingsT = TypeVar("SettingsT", bound=ServiceSettings)


def load_settings(settings_class: type[SettingsT]) -> SettingsT:
    """Return the settings from the environment, or end the process (code 2) with a sentence on stderr."""
    try:
        return settings_class()
    except (SettingsError, RedisSettingsError) as error:
        sys.stderr.write(f"Cannot start: {error}\n")
        raise SystemExit(2) from None


def _sentence(error: ValidationError) -> str:
    faults = []
    for fault in error.errors(include_input=False, include_url=False, include_context=False):
        where = "_".join(str(part).upper() for part in fault["loc"])
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {message}" if where else message)
    return "; ".join(faults) + "."

"""Settings of the menu service."""

from datetime import timedelta

from pizzeria_chassis.settings import ServiceSettings
from pydantic import Field


class MenuSettings(ServiceSettings):
    """What the menu reads from the environment beside what every service reads."""

    service_name: str = "menu"
    port: int = Field(default=8003, ge=0, le=65535)
    menu_cache_seconds: float = Field(
        default=10.0,
        gt=0,
        le=3600,
        description="longest that a copy in Redis is served after Redis missed a change",
    )
    menu_cache_patience_seconds: float = Field(
        default=0.25,
        gt=0,
        le=10,
        description="how long a guest waits for the copy before the database is asked",
    )

    @property
    def cache_ttl(self) -> timedelta:
        return timedelta(seconds=self.menu_cache_seconds)

    @property
    def cache_patience(self) -> timedelta:
        return timedelta(seconds=self.menu_cache_patience_seconds)

"""Settings of the kitchen, beside those that every service has."""

from datetime import timedelta
from typing import Annotated

from pizzeria_chassis.settings import ServiceSettings
from pydantic import Field


class KitchenSettings(ServiceSettings):
    service_name: str = "kitchen"
    port: int = Field(default=8002, ge=0, le=65535)
    lease_seconds: Annotated[float, Field(gt=0, le=600)] = 10.0
    sweep_seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    queue_capacity: Annotated[int, Field(ge=1)] = 100_000
    ticket_completed_version: Annotated[int, Field(ge=1, le=2)] = 1

    @property
    def lease(self) -> timedelta:
        return timedelta(seconds=self.lease_seconds)

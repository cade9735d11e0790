"""Settings of the analytics service."""

from pizzeria_chassis.settings import ServiceSettings
from pydantic import Field


class AnalyticsSettings(ServiceSettings):
    """What analytics reads from the environment: what every service reads."""

    service_name: str = "analytics"
    port: int = Field(default=8004, ge=0, le=65535)

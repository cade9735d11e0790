"""Settings of the analytics service."""

from pizzeria_chassis.settings import ServiceSettings
from pydantic import Field


class AnalyticsSettings(ServiceSettings):
    """What analytics reads from the environment beside what every service reads."""

    service_name: str = "analytics"
    port: int = Field(default=8004, ge=0, le=65535)
    snapshot_seconds: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="how often to look whether a snapshot for /as-of is due",
    )
    projector_seconds: float = Field(
        default=1.0,
        gt=0,
        le=60,
        description="how often to look whether Redis lost the projections; events count within a moment",
    )

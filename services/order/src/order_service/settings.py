"""The settings of the order service, read from the environment once at start."""

from datetime import timedelta

from pizzeria_chassis.settings import ServiceSettings
from pydantic import Field

from order_service.domain.news import Policy
from order_service.use_cases.sessions import Lifetimes


class OrderSettings(ServiceSettings):
    """What this service adds to the settings that all services have. Times are seconds unless named."""

    service_name: str = "order"
    port: int = Field(default=8001, ge=0, le=65535)

    kitchen_deadline_seconds: float = Field(default=60, gt=0)
    payment_timeout_seconds: float = Field(default=1, gt=0)
    payment_retry_seconds: float = Field(default=0.2, gt=0)
    saga_lease_seconds: float = Field(default=5, gt=0)
    saga_poll_seconds: float = Field(default=0.25, gt=0)
    max_open_orders: int = Field(default=2000, ge=1, le=1_000_000)
    schedule_days: float = Field(default=14, gt=0, le=366)
    menu_fresh_seconds: float = Field(default=2, ge=0)
    menu_max_age_seconds: float = Field(default=3600, gt=0)
    session_days: float = Field(default=30, gt=0, description="at the latest")
    session_idle_days: float = Field(default=14, gt=0, description="at most session_days")
    session_vouch_seconds: float = Field(default=5, gt=0, le=60)
    cart_days: float = Field(default=7, gt=0)
    nobodys_cart_hours: float = Field(default=24, gt=0)
    notice_patience_seconds: float = Field(default=10, gt=0)
    refund_sweep_seconds: float = Field(default=5, gt=0)
    notice_retry_seconds: float = Field(default=1, gt=0)
    idempotency_hours: float = Field(default=24, gt=0)
    order_rate_limit: int = Field(default=120, ge=1, le=1_000_000, description="per guest and minute")
    session_rate_limit: int = Field(default=600, ge=1, le=1_000_000, description="per address and minute")

    @property
    def lifetimes(self) -> Lifetimes:
        absolute = timedelta(days=self.session_days)
        return Lifetimes(
            idle=min(timedelta(days=self.session_idle_days), absolute),
            absolute=absolute,
            vouch=timedelta(seconds=self.session_vouch_seconds),
        )

    @property
    def policy(self) -> Policy:
        return Policy(
            lease=timedelta(seconds=self.saga_lease_seconds),
            kitchen_deadline=timedelta(seconds=self.kitchen_deadline_seconds),
            first_retry=timedelta(seconds=self.payment_retry_seconds),
        )

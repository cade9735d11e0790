"""What is kept beside the orders themselves, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from order_service.domain.cart import Line
from order_service.domain.notices import Notice
from order_service.domain.order import Order


@dataclass(frozen=True)
class StoredAnswer:
    """The answer that belongs to an Idempotency-Key: to which request, and its body."""

    customer_id: str
    key: str
    fingerprint: str
    order_id: str
    body: str
    expires_at: datetime


@dataclass(frozen=True)
class OrderFilter:
    """Which orders to list, newest first: those of one guest or of all, older than the order `after`."""

    customer_id: str | None = None
    status: str | None = None
    payment: str | None = None
    after: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class JourneyEntry:
    """One thing that happened to an order."""

    time: datetime
    type: str
    source: str
    trace_id: str | None
    detail: Mapping[str, object]


@dataclass(frozen=True)
class Customer:
    id: str
    name: str
    phone: str | None
    email: str | None
    created_at: datetime
    cart_id: str | None


@dataclass(frozen=True)
class Session:
    """A signed-in guest; of the token only its digest is ever kept.

    It slides in steps, so an idle one may end a hundredth of its idle time early.
    """

    token_sha256: str
    customer_id: str
    created_at: datetime
    expires_at: datetime
    idle_until: datetime

    def lives(self, now: datetime) -> bool:
        return now < min(self.expires_at, self.idle_until)


@dataclass(frozen=True)
class Letter:
    """One thing that a guest was told about an order."""

    id: str
    customer_id: str
    order_id: str
    kind: str
    content: Mapping[str, object]
    created_at: datetime


@dataclass(frozen=True)
class Due:
    """A notice that has not reached its guest yet."""

    order_id: str
    notice: Notice


@dataclass(frozen=True)
class Dossier:
    """All that is kept about one guest; `cart` is None when it cannot be read at the moment."""

    exported_at: datetime
    customer: Customer
    sessions: Sequence[Session]
    orders: Sequence[Order]
    letters: Sequence[Letter]
    cart: Sequence[Line] | None = None

"""All that is kept about a guest, as one document."""

from datetime import datetime

from pizzeria_contracts.money import Amount
from pizzeria_contracts.payloads import Size
from pydantic import BaseModel, ConfigDict

from order_service.domain.order import Order
from order_service.domain.records import Dossier
from order_service.entrypoints.views import CustomerView, LetterView, OrderView


class ExportedSession(BaseModel):
    """The token itself is not known here."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    created_at: datetime
    expires_at: datetime
    idle_until: datetime


class ExportedOrder(OrderView):
    """With what other answers leave out."""

    delivery_address: str | None
    notes: str | None
    payment_token: str

    @classmethod
    def of(cls, order: Order) -> "ExportedOrder":
        return cls(
            **dict(OrderView.of(order)),
            delivery_address=order.delivery_address,
            notes=order.notes,
            payment_token=order.payment.token,
        )


class ExportedLine(BaseModel):
    """`quote` is the unit price in EUR that was last shown."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    pizza_id: str
    size: Size
    toppings: tuple[str, ...]
    quantity: int
    quote: Amount


class Export(BaseModel):
    """`cart` is null when it cannot be read at the moment."""

    model_config = ConfigDict(frozen=True)

    exported_at: datetime
    profile: CustomerView
    sessions: tuple[ExportedSession, ...]
    orders: tuple[ExportedOrder, ...]
    mailbox: tuple[LetterView, ...]
    cart: tuple[ExportedLine, ...] | None

    @classmethod
    def of(cls, dossier: Dossier) -> "Export":
        return cls(
            exported_at=dossier.exported_at,
            profile=CustomerView.of(dossier.customer),
            sessions=tuple(map(ExportedSession.model_validate, dossier.sessions)),
            orders=tuple(map(ExportedOrder.of, dossier.orders)),
            mailbox=tuple(map(LetterView.of, dossier.letters)),
            cart=None if dossier.cart is None else tuple(map(ExportedLine.model_validate, dossier.cart)),
        )

"""The shapes of requests, with every limit on them. Unknown fields are refused."""

import hashlib
from typing import Annotated, Any
from unicodedata import category

from pizzeria_chassis.requests import RequestBody
from pizzeria_contracts.payloads import Priority, Size, UtcTime
from pydantic import AfterValidator, BeforeValidator, Field

from order_service.domain.cart import MAX_LINES
from order_service.domain.pricing import Wish
from order_service.use_cases.cart import LineChange
from order_service.use_cases.check_out import Terms
from order_service.use_cases.place_order import NewOrder

MAX_ITEMS = MAX_LINES
MAX_QUANTITY = 50
MAX_TOPPINGS = 10


def _printable(text: str) -> str:
    # Control characters, and halves of surrogate pairs, which JSON can write and no database can keep.
    if any(category(character) in ("Cc", "Cs") and character not in "\n\t" for character in text):
        raise ValueError("must not contain control characters")
    return text


def _on_one_line(text: str) -> str:
    if "\n" in text or "\t" in text:
        raise ValueError("must be one line without tabs")
    return text


def _written(value: Any) -> Any:
    # A bare number would be taken for seconds since 1970.
    if value is not None and not isinstance(value, str):
        raise ValueError('must be a time such as "2026-11-21T18:30:00Z"')
    return value


Text = Annotated[str, AfterValidator(_printable)]
Line = Annotated[Text, AfterValidator(_on_one_line)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", examples=["margherita"])]
Toppings = Annotated[list[Slug], Field(max_length=MAX_TOPPINGS)]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY, strict=True)]
Address = Annotated[Text, Field(max_length=500)]
Notes = Annotated[Text, Field(max_length=500)]
Time = Annotated[UtcTime, BeforeValidator(_written)]


Name = Annotated[Line, Field(min_length=1, max_length=100)]
Phone = Annotated[str, Field(pattern=r"^\+?[0-9 ()/.-]{3,32}$")]
Email = Annotated[Line, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]


class SignIn(RequestBody):
    name: Name
    phone: Phone | None = None
    email: Email | None = None


class ProfileChange(RequestBody):
    """What is left out stays as it is."""

    name: Name = ""
    phone: Phone | None = None
    email: Email | None = None


class Item(RequestBody):
    pizza_id: Slug
    size: Size
    toppings: Toppings = Field(default_factory=list)
    quantity: Quantity = 1

    def wish(self) -> Wish:
        return Wish(self.pizza_id, self.size, tuple(self.toppings), self.quantity)


class LinePatch(RequestBody):
    """What is left out stays as it is."""

    size: Size = "medium"
    toppings: Toppings = Field(default_factory=list)
    quantity: Quantity = 1

    def change(self) -> LineChange:
        sent = self.model_dump(exclude_unset=True)
        if "toppings" in sent:
            sent["toppings"] = tuple(sent["toppings"])
        return LineChange(**sent)


class PaymentMeans(RequestBody):
    token: Annotated[
        str,
        Field(
            pattern=r"^tok_[a-z_]{1,60}$",
            description="Test mode knows tok_approved, tok_declined and tok_timeout.",
            examples=["tok_approved"],
        ),
    ]


class OrderBody(RequestBody):
    items: Annotated[list[Item], Field(min_length=1, max_length=MAX_ITEMS)]
    payment: PaymentMeans
    priority: Priority = "standard"
    delivery_address: Address | None = None
    scheduled_for: Time | None = None
    notes: Notes | None = None

    def wanted(self, customer_id: str) -> NewOrder:
        return NewOrder(
            customer_id=customer_id,
            wishes=tuple(item.wish() for item in self.items),
            payment_token=self.payment.token,
            priority=self.priority,
            scheduled_for=self.scheduled_for,
            delivery_address=self.delivery_address,
            notes=self.notes,
        )

    def fingerprint(self) -> str:
        """A digest of what is asked for; spelling out a default does not change it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Checkout(RequestBody):
    """As an order, whose items are those of the cart."""

    payment: PaymentMeans
    priority: Priority = "standard"
    delivery_address: Address | None = None
    scheduled_for: Time | None = None
    notes: Notes | None = None

    def terms(self) -> Terms:
        return Terms(
            payment_token=self.payment.token,
            priority=self.priority,
            scheduled_for=self.scheduled_for,
            delivery_address=self.delivery_address,
            notes=self.notes,
        )

    def fingerprint(self) -> str:
        """As that of an order, and never equal to one."""
        return hashlib.sha256(b"checkout" + self.model_dump_json().encode()).hexdigest()

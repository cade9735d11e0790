"""Money: decimal amounts in euro, as strings on the wire."""

from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

__all__ = ["CENT", "CURRENCY", "Amount", "Currency", "Money", "round_cents"]

CENT: Final = Decimal("0.01")
CURRENCY: Final = "EUR"
Currency = Literal["EUR"]


def round_cents(amount: Decimal) -> Decimal:
    """Return ``amount`` with two decimals, half a cent rounded up (away from zero)."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def _refuse_binary_numbers(value: Any) -> Any:
    # A JSON number passes through a binary float in most clients: 0.1 + 0.2 must not become money.
    if isinstance(value, (float, int)):
        raise ValueError('must be a decimal string such as "12.99"')
    return value


Amount = Annotated[
    Decimal,
    BeforeValidator(_refuse_binary_numbers),
    Field(ge=0, max_digits=12, decimal_places=2),
    PlainSerializer(lambda amount: str(round_cents(amount)), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,10}\.\d{2}$", "examples": ["12.99"]}),
]
"""A non-negative amount of money, a string with two decimals on the wire."""


class Money(BaseModel):
    """An amount with its currency: ``{"amount": "25.98", "currency": "EUR"}``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    amount: Amount
    currency: Currency = CURRENCY

    @classmethod
    def of(cls, amount: Decimal | str) -> Self:
        """Return ``amount`` rounded half-up to the cent."""
        return cls(amount=round_cents(Decimal(amount)))

    @classmethod
    def zero(cls) -> Self:
        return cls(amount=Decimal("0.00"))

    def __add__(self, other: "Money") -> "Money":
        return Money(amount=self.amount + other.amount)

    def times(self, factor: Decimal | int) -> "Money":
        """Return this money times ``factor``, rounded half-up to the cent."""
        return Money(amount=round_cents(self.amount * factor))

"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pizzeria_contracts.money import CENT, round_cents
from sqlalchemy import BigInteger, DateTime, Dialect, Integer
from sqlalchemy.types import TypeDecorator

__all__ = ["AmountColumn", "BigId", "UtcDateTime"]

BigId = BigInteger().with_variant(Integer, "sqlite")
"""An integer key that counts up by itself; SQLite does that for INTEGER alone."""


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC. Naive times are refused: nobody knows which moment they mean."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone cannot be stored; use datetime.now(UTC)")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class AmountColumn(TypeDecorator[Decimal]):
    """An amount of money as a ``Decimal`` with two decimals, stored as whole cents.

    Cents are integers in both databases, so sums in SQL are exact.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        return None if value is None else int(round_cents(value) / CENT)

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) * CENT

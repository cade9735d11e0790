"""Tables of the shop."""

from pizzeria_chassis.columns import AmountColumn, UtcDateTime
from sqlalchemy import Column, MetaData, String, Table

metadata = MetaData()
visits = Table(
    "visits",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("paid", AmountColumn, nullable=False),
)

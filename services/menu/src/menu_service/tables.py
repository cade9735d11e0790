"""The menu's tables: its facts. Redis holds copies of them only."""

from pizzeria_chassis.columns import AmountColumn
from sqlalchemy import JSON, Boolean, CheckConstraint, Column, Integer, MetaData, String, Table

metadata = MetaData()

# One row. Every change of the menu raises `revision` as its first statement: that serialises
# changes on every database and numbers the states, so that a copy can tell old from new.
menu = Table(
    "menu",
    metadata,
    Column(
        "id", Integer, CheckConstraint("id = 1", name="ck_menu_one"), primary_key=True, autoincrement=False
    ),
    Column("revision", Integer, nullable=False),
)

pizzas = Table(
    "pizzas",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(100), nullable=False),
    Column("description", String(500), nullable=False),
    Column("offered", Boolean, nullable=False),  # what staff want; shortages are kept apart
    Column("small", AmountColumn, CheckConstraint("small > 0", name="ck_pizzas_small"), nullable=False),
    Column("medium", AmountColumn, CheckConstraint("medium > 0", name="ck_pizzas_medium"), nullable=False),
    Column("large", AmountColumn, CheckConstraint("large > 0", name="ck_pizzas_large"), nullable=False),
    Column("toppings", JSON, nullable=False),
    Column("ingredients", JSON, nullable=False),
    Column("preparation_seconds", Integer, nullable=False),
    Column("short_of", JSON, nullable=False),  # ingredients of this pizza that are low
    Column("version", Integer, nullable=False),
    Column(
        "removed", Boolean, nullable=False
    ),  # kept, so that a pizza that returns goes on counting versions
)

toppings = Table(
    "toppings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("price", AmountColumn, CheckConstraint("price >= 0", name="ck_toppings_price"), nullable=False),
)

# What the kitchen said last about each ingredient. `sequence` keeps an event that comes late
# (redriven from the dead letters) from undoing a newer one.
stock = Table(
    "ingredient_stock",
    metadata,
    Column("ingredient", String(64), primary_key=True),
    Column("low", Boolean, nullable=False),
    Column("sequence", Integer, nullable=False),
)

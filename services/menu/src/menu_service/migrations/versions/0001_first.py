"""Pizzas, toppings, what is low, and the tables of the chassis."""

import sqlalchemy as sa
from alembic import op
from pizzeria_chassis.migrations import create_chassis_tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_chassis_tables()
    menu = op.create_table(
        "menu",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.CheckConstraint("id = 1", name="ck_menu_one"),
    )
    op.bulk_insert(menu, [{"id": 1, "revision": 0}])
    op.create_table(
        "pizzas",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("offered", sa.Boolean, nullable=False),
        sa.Column("small", sa.BigInteger, nullable=False),
        sa.Column("medium", sa.BigInteger, nullable=False),
        sa.Column("large", sa.BigInteger, nullable=False),
        sa.Column("toppings", sa.JSON, nullable=False),
        sa.Column("ingredients", sa.JSON, nullable=False),
        sa.Column("preparation_seconds", sa.Integer, nullable=False),
        sa.Column("short_of", sa.JSON, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("removed", sa.Boolean, nullable=False),
        sa.CheckConstraint("small > 0", name="ck_pizzas_small"),
        sa.CheckConstraint("medium > 0", name="ck_pizzas_medium"),
        sa.CheckConstraint("large > 0", name="ck_pizzas_large"),
    )
    op.create_table(
        "toppings",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.CheckConstraint("price >= 0", name="ck_toppings_price"),
    )
    op.create_table(
        "ingredient_stock",
        sa.Column("ingredient", sa.String(64), primary_key=True),
        sa.Column("low", sa.Boolean, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
    )

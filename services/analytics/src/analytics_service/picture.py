"""All that one generation holds, as a value: read from Redis, or folded from the archive from nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from pizzeria_chassis.database import Database

from analytics_service import archive
from analytics_service.fold import contribution
from analytics_service.projections import Generation, Projections
from analytics_service.segments import memberships, midnight, stored_sets
from analytics_service.story import READ_TYPES
from analytics_service.tally import (
    Cell,
    Tally,
    board_table,
    customer_of,
    customer_table,
    kept,
    kept_tables,
)

_EXAMPLES: Final = 20

Picture = Mapping[tuple[str, str], int]
"""Every number by its table and field; of segments: who, by when they leave (ms)."""


@dataclass(frozen=True)
class Difference:
    """A number that is not what it should be; 0 stands for none."""

    table: str
    field: str
    expected: int
    found: int


@dataclass(frozen=True)
class Differences:
    """How many numbers differ, and some of them."""

    count: int = 0
    examples: tuple[Difference, ...] = ()


def differences(expected: Picture, found: Picture) -> Differences:
    """What of `found` is not as expected."""
    wrong = sorted(
        place for place in expected.keys() | found.keys() if expected.get(place) != found.get(place)
    )
    examples = (
        Difference(*place, expected=expected.get(place, 0), found=found.get(place, 0))
        for place in wrong[:_EXAMPLES]
    )
    return Differences(len(wrong), tuple(examples))


async def read_picture(projections: Projections, generation: str, today: date) -> Picture:
    """What Redis holds. Round trips: some eighty, and one per customer, eight at a time.

    Steps that are counted meanwhile may be half in it: compare the checkpoints before and after.
    """
    tables = await projections.tables(generation, list(kept_tables(today)))
    noon = midnight(today)
    customers = [customer_table(name) for name in tables[board_table("customers-orders", "all", noon)]]
    tables |= await projections.tables(generation, customers)
    tally = Tally({Cell(table, name): n for table, fields in tables.items() for name, n in fields.items()})
    picture = _cells(tally, today)
    for name in stored_sets(list(tables[board_table("pizzas", "all", noon)])):
        members = await projections.set_members(generation, name)
        for customer_id, until in members.items():
            if until > _ms(today):
                picture[f"segment:{name}", customer_id] = until
    return picture


async def fold_from_nothing(database: Database, upto: int) -> Tally:
    """The sum over all orders in the archive up to `seq`. One statement per 1000 events."""
    tally = Tally()
    async with database.read() as connection:
        async for _, events in archive.by_subject(connection, upto=upto, types=READ_TYPES):
            tally.update(contribution(events))
    return tally


def picture_of(tally: Tally, today: date) -> Picture:
    """What Redis should hold when this is all there is to count."""
    tally = kept(tally, today)
    picture = _cells(tally, today)
    for customer_id, fields in customers_of(tally).items():
        for name, until in memberships(fields).items():
            if until > today:
                picture[f"segment:{name}", customer_id] = _ms(until)
    return picture


def customers_of(tally: Tally) -> dict[str, dict[str, int]]:
    """The tables of all customers in it, by their ids."""
    customers: dict[str, dict[str, int]] = {}
    for cell, amount in tally.items():
        if customer_id := customer_of(cell):
            customers.setdefault(customer_id, {})[cell.field] = amount
    return customers


async def same_moment(projections: Projections, generations: list[Generation]) -> bool:
    """Whether none of these has counted anything further. One round trip."""
    control = await projections.control()
    return all(generation in (control.live, control.shadow) for generation in generations)


def _cells(tally: Tally, today: date) -> dict[tuple[str, str], int]:
    return {(cell.table.name, cell.field): n for cell, n in kept(tally, today).items()}


def _ms(day: date) -> int:
    return int(midnight(day).timestamp()) * 1000

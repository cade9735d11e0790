"""What is counted: cells of tables, and how long a table is kept.

A tally says how much is to be added to which cell. Tallies form a group under addition: the tally of two sets
of orders is the sum of both, and what an order contributed before can be taken away again.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal, NamedTuple, TypeAlias

from rediscore.leaderboards import Period

DAYS_KEPT: Final = 8
"""Hours, durations and boards of days: today and the seven days before it."""

CUSTOMER_DAYS_KEPT: Final = 366
"""What a customer ordered: as far back as any segment looks."""

Window = Literal["day", "week", "all"]

_PERIODS: Final = {"day": Period.DAILY, "week": Period.WEEKLY, "all": Period.ALL_TIME}
_KEPT_AFTER: Final = {"day": DAYS_KEPT - 1, "week": 1, "all": 0}

Board = Literal[
    "pizzas", "customers-orders", "customers-money", "stations-completed", "stations-milliseconds"
]
BOARDS: Final[tuple[Board, ...]] = (
    "pizzas", "customers-orders", "customers-money", "stations-completed", "stations-milliseconds",
)  # fmt: skip


class Table(NamedTuple):
    """One key of the projections. `gone` is the first day (UTC) on which it is kept no more."""

    name: str
    gone: date | None = None

    def kept(self, today: date) -> bool:
        return self.gone is None or today < self.gone

    @property
    def ranked(self) -> bool:
        """Whether it is a board: members by score, best first."""
        return self.name.startswith("board:")


class Cell(NamedTuple):
    """One number: a field of a table of fields, or a member's score on a board."""

    table: Table
    field: str


Tally: TypeAlias = Counter[Cell]

TOTALS: Final = Table("totals")


def day_table(day: date) -> Table:
    """Fields `<hour>:<what>`, money in cents, and `reason:<reason>` of cancellations."""
    return Table(f"day:{day.isoformat()}", day + timedelta(days=DAYS_KEPT))


def timings_table(day: date) -> Table:
    """Fields `<timing>:<hour>:<priority>:<bucket>` and `pizza:<pizza id>:<bucket>`."""
    return Table(f"timings:{day.isoformat()}", day + timedelta(days=DAYS_KEPT))


def customer_table(customer_id: str) -> Table:
    """Fields `<day>:orders`, `<day>:cents` and `<day>:pizza:<pizza id>` of one customer."""
    return Table(f"customer:{customer_id}")


def customer_of(cell: Cell) -> str | None:
    """Whose table the cell is in, if it is a customer's."""
    kind, _, customer_id = cell.table.name.partition(":")
    return customer_id if kind == "customer" else None


def board_table(board: Board, window: Window, at: datetime) -> Table:
    """The board of the day or week (from Monday on) that holds `at`, or of all time; all in UTC."""
    period = _PERIODS[window]
    end = period.end(at, _KEPT_AFTER[window])
    return Table(f"board:{board}:{period.label(at)}", None if end is None else end.date())


def board_tables(board: Board, at: datetime) -> Iterator[Table]:
    """Of every window that holds `at`."""
    for window in ("day", "week", "all"):
        yield board_table(board, window, at)


def kept_tables(today: date) -> Iterator[Table]:
    """Every table that there may be, but those of customers."""
    days = [today - timedelta(days=n) for n in range(DAYS_KEPT)]
    yield TOTALS
    for day in days:
        yield day_table(day)
        yield timings_table(day)
    noons = [datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in days]
    for board in BOARDS:
        yield board_table(board, "all", noons[0])
        yield from (board_table(board, "day", noon) for noon in noons)
        yield board_table(board, "week", noons[0])
        yield board_table(board, "week", noons[7])


def is_kept(cell: Cell, today: date) -> bool:
    """Whether the cell still counts on that day."""
    if customer_of(cell) is not None:
        return cell.field >= oldest_customer_day(today)
    return cell.table.kept(today)


def oldest_customer_day(today: date) -> str:
    """Fields of a customer begin with their day, so text order is time order."""
    return (today - timedelta(days=CUSTOMER_DAYS_KEPT - 1)).isoformat()


def kept(tally: Tally, today: date) -> Tally:
    """What of the tally still counts on that day, without zeros."""
    return Tally({cell: n for cell, n in tally.items() if n and is_kept(cell, today)})


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum, negative counts included."""
    found = Tally()
    for tally in tallies:
        found.update(tally)
    return found


def less(after: Tally, before: Tally) -> Tally:
    """What leads from `before` to `after`."""
    found = Tally(after)
    found.subtract(before)
    return Tally({cell: n for cell, n in found.items() if n})

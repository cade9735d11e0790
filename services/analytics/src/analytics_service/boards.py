"""Who is ahead: stations, customers and pizzas, by day, week (from Monday on) and of all time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

from analytics_service.answers import Leaderboard, Standing, net
from analytics_service.projections import Projections
from analytics_service.tally import Board, Window, board_table

BoardName = Literal["stations", "stations-speed", "customers-orders", "customers-money", "pizzas"]


@dataclass(frozen=True)
class _Ranking:
    board: Board
    unit: str


_RANKINGS: Final[Mapping[BoardName, _Ranking]] = {
    "stations": _Ranking("stations-completed", "tickets completed"),
    "stations-speed": _Ranking("stations-milliseconds", "seconds per ticket"),
    "customers-orders": _Ranking("customers-orders", "orders"),
    "customers-money": _Ranking("customers-money", "money"),
    "pizzas": _Ranking("pizzas", "pizzas"),
}


async def leaderboard(
    projections: Projections, generation: str, name: BoardName, window: Window, day: date, limit: int
) -> Leaderboard:
    """The first `limit` places. One round trip; the speed of stations takes two."""
    ranking = _RANKINGS[name]
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    scores: list[tuple[str, int | float]]
    if name == "stations-speed":
        # A mean cannot be added to: time and tickets are, and there are few stations.
        tables = [
            board_table(board, window, noon) for board in ("stations-milliseconds", "stations-completed")
        ]
        found = await projections.tables(generation, tables)
        times, tickets = (found[table] for table in tables)
        means = {station: times.get(station, 0) / 1000 / count for station, count in tickets.items()}
        best = sorted(means.items(), key=lambda mean: (mean[1], mean[0]))[:limit]
        scores = [(station, round(seconds, 3)) for station, seconds in best]
    else:
        scores = list(await projections.best(generation, board_table(ranking.board, window, noon), limit))
    return Leaderboard(
        name=name,
        window=window,
        since=_since(window, day),
        unit=ranking.unit,
        items=[
            Standing(rank=rank, id=member, score=net(int(score)) if ranking.unit == "money" else score)
            for rank, (member, score) in enumerate(scores, start=1)
        ],
    )


def _since(window: Window, day: date) -> date | None:
    match window:
        case "day":
            return day
        case "week":
            return day - timedelta(days=day.weekday())
    return None

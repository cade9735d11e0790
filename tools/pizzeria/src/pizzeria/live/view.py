"""The picture for a terminal."""

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pizzeria.live.board import FINAL, STATES, OrderOnBoard
from pizzeria.live.watch import Picture

_ROWS = 10
_WAY = [state for state in STATES if state != "cancelled"]
_HEALTH_STYLE = {"ready": "green", "degraded": "yellow", "down": "bold red"}


def render(picture: Picture, pids: Mapping[str, int | None], news: list[str]) -> RenderableType:
    """Processes, kitchen, the latest orders, the latest news about processes."""
    return Group(
        _processes(picture, pids),
        _kitchen(picture),
        _orders(picture),
        *(Text(line, "yellow") for line in news),
    )


def _processes(picture: Picture, pids: Mapping[str, int | None]) -> Text:
    line = Text()
    for name, pid in pids.items():
        health = "down" if pid is None else picture.health.get(name, "ready")
        line.append("● ", _HEALTH_STYLE.get(health, "red"))
        line.append(f"{name} {pid if health == 'ready' else health}   ")
    return line


def _kitchen(picture: Picture) -> Text:
    line = Text("queue ", "dim")
    line.append("unknown" if picture.queued is None else picture.queued)
    for station in picture.stations:
        busy = len(station["tickets"])
        line.append(f"   {station['station_id']} ", "dim")
        line.append("■" * busy + "□" * (station["capacity"] - busy))
    return line


def _orders(picture: Picture) -> Table:
    board = picture.board
    table = Table(box=None, pad_edge=False, expand=False)
    table.add_column(f"{board.delivered} delivered, {board.cancelled} cancelled", no_wrap=True)
    table.add_column("", max_width=44, no_wrap=True, overflow="ellipsis")
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("")
    moving = [order for order in board.orders.values() if order.state not in FINAL]
    ended = [order for order in board.orders.values() if order.state in FINAL]
    for order in [*ended[-max(3, _ROWS - len(moving)) :], *moving][-_ROWS:]:
        flag = " !" if order.priority == "express" else ""
        table.add_row(f"{order.id[-12:]}{flag}", order.pizzas, order.total, _way(order))
    return table


def _way(order: OrderOnBoard) -> Text:
    if order.state == "cancelled":
        return Text("cancelled", "red")
    reached = _WAY.index(order.state)
    way = Text("━" * (reached + 1), "green")
    way.append("━" * (len(_WAY) - reached - 1), "bright_black")
    return way.append(f" {order.state}", "bold" if order.state not in FINAL else "green")

"""`pizzeria menu`: the menu as the menu service serves it."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pizzeria.running import Service

_SIZES = ("small", "medium", "large")


def menu_table(menu_url: str) -> RenderableType:
    """Pizzas with their ids and prices, then the toppings. Raises: CallFailedError."""
    menu = Service(menu_url).call("GET", "/menu")
    table = Table(box=None, pad_edge=False)
    table.add_column("pizza")
    for size in _SIZES:
        table.add_column(size, justify="right")
    table.add_column("")
    for pizza in menu["items"]:
        prices = (pizza["prices"][size]["amount"] for size in _SIZES)
        table.add_row(pizza["id"], *prices, "" if pizza["available"] else "not available")
    toppings = [f"{topping['id']} {topping['price']['amount']}" for topping in menu["toppings"]]
    return Group(table, Text(f"\nextra toppings: {', '.join(toppings)}"))

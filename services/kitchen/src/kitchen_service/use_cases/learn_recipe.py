"""The menu tells what a pizza is made of."""

from collections.abc import Sequence

from pizzeria_contracts.events import StockLow

from kitchen_service.use_cases.ports import Books


async def learn_recipe(books: Books, pizza_id: str, version: int, ingredients: Sequence[str]) -> None:
    """Handles menu.item_changed. An ingredient that is new to the kitchen is kept from now on, and is low."""
    if not await books.recipes.learn(pizza_id, version, ingredients):
        return
    for ingredient in await books.pantry.keep(ingredients):
        await books.publish(StockLow(ingredient=ingredient), subject=ingredient)

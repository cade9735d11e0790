"""How many portions of which ingredient a pizza takes."""

from collections.abc import Iterable, Mapping

from kitchen_service.domain.station import Skill
from kitchen_service.domain.ticket import Pizza, Size

Recipe = Mapping[str, int]
"""Portions per ingredient of the smallest pizza."""

RECIPES: Mapping[str, Recipe] = {
    "margherita": {"dough": 1, "tomato-sauce": 1, "mozzarella": 1, "basil": 1},
    "pepperoni": {"dough": 1, "tomato-sauce": 1, "mozzarella": 1, "pepperoni": 2},
    "vegetarian": {
        "dough": 1, "tomato-sauce": 1, "mozzarella": 1,
        "peppers": 1, "mushrooms": 1, "onions": 1, "olives": 1,
    },
    "hawaiian": {"dough": 1, "tomato-sauce": 1, "mozzarella": 1, "ham": 1, "pineapple": 1},
    "bbq-chicken": {"dough": 1, "bbq-sauce": 1, "mozzarella": 1, "chicken": 2, "onions": 1},
    "meat-lovers": {
        "dough": 1, "tomato-sauce": 1, "mozzarella": 1,
        "pepperoni": 1, "ham": 1, "bacon": 1, "sausage": 1,
    },
}  # fmt: skip

GRILLED = frozenset({"bbq-chicken", "meat-lovers"})

PLAIN: Recipe = {"dough": 1, "tomato-sauce": 1, "mozzarella": 1}
"""For a pizza of which the menu has told nothing yet."""

PORTIONS: Mapping[Size, int] = {Size.SMALL: 1, Size.MEDIUM: 2, Size.LARGE: 3}


def skill_for(pizza_id: str) -> Skill:
    """What the station must be able to do."""
    return Skill.GRILL if pizza_id in GRILLED else Skill.OVEN


def recipe_for(pizza_id: str, ingredients: Iterable[str] | None) -> Recipe:
    """The recipe of a pizza.

    Args:
        ingredients: what the menu says that the pizza is made of, None when it has said nothing. The
            menu decides what goes in, our own recipe how much of it.
    """
    ours = RECIPES.get(pizza_id)
    if ingredients is None:
        return ours or PLAIN
    return {ingredient: (ours or {}).get(ingredient, 1) for ingredient in ingredients}


def needed_for(pizza: Pizza, recipe: Recipe) -> dict[str, int]:
    """Portions for one pizza: recipe and extra toppings, times its size."""
    portions = dict(recipe)
    for topping in pizza.toppings:
        portions[topping] = portions.get(topping, 0) + 1
    return {ingredient: count * PORTIONS[pizza.size] for ingredient, count in portions.items()}

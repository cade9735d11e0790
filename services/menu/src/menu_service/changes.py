"""Changes of the menu: by staff and by the kitchen's stock. Each version has exactly one event."""

from dataclasses import replace
from typing import Literal

from pizzeria_chassis.problems import Problem, not_found
from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.events import MenuItemChanged, MenuItemRestored, MenuItemWithdrawn, Payload
from pizzeria_contracts.problems import ProblemType
from sqlalchemy import select

from menu_service import pizzas
from menu_service.bodies import NewPizza, PizzaChange
from menu_service.pizzas import Pizza
from menu_service.preconditions import Precondition
from menu_service.tables import toppings

Reason = Literal["staff", "stock", "deleted"]


async def put(tx: Transaction, pizza_id: str, body: NewPizza, expected: Precondition) -> tuple[Pizza, bool]:
    """Add the pizza or replace it; returns it and whether it is new."""
    before = await _open(tx, pizza_id)
    new = before is None or before.removed
    expected(None if before is None or before.removed else before.version)
    after = replace(
        before or Pizza(pizza_id),
        name=body.name,
        description=body.description,
        offered=body.available,
        prices={size: getattr(body.prices, size).amount for size in pizzas.SIZES},
        toppings=body.toppings,
        ingredients=body.ingredients,
        preparation_seconds=body.preparation_seconds,
        removed=False,
    )
    return await _edit(tx, before, after), new


async def patch(tx: Transaction, pizza_id: str, body: PizzaChange, expected: Precondition) -> Pizza:
    """Change the named fields. A change that changes nothing makes no version and no event."""
    before = await _open_present(tx, pizza_id, expected)
    given = body.given()
    if "available" in given:
        given["offered"] = given.pop("available")
    if "prices" in given:
        changed = {size: price.amount for size, price in given["prices"].items()}
        given["prices"] = {**before.prices, **changed}
    return await _edit(tx, before, replace(before, **given))


async def remove(tx: Transaction, pizza_id: str, expected: Precondition) -> None:
    """Take the pizza off the menu for good. Its row stays, so that versions go on if it comes back."""
    before = await _open_present(tx, pizza_id, expected)
    await record(tx, before, replace(before, removed=True), reason="deleted")


async def record(
    tx: Transaction,
    before: Pizza | None,
    after: Pizza,
    *,
    reason: Reason,
) -> Pizza:
    """Save ``after`` as the next version and append the event that tells what has become of ``before``."""
    after = replace(after, version=(before.version if before else 0) + 1)
    await pizzas.save(tx.connection, after, new=before is None)
    await tx.append(_event(before, after, reason), subject=after.id)
    return after


async def _open(tx: Transaction, pizza_id: str) -> Pizza | None:
    await pizzas.lock_menu(tx.connection)
    return await pizzas.load(tx.connection, pizza_id)


async def _open_present(tx: Transaction, pizza_id: str, expected: Precondition) -> Pizza:
    before = await _open(tx, pizza_id)
    if before is None or before.removed:
        raise not_found("There is no such pizza.")
    expected(before.version)
    return before


async def _edit(tx: Transaction, before: Pizza | None, after: Pizza) -> Pizza:
    known = set((await tx.connection.execute(select(toppings.c.id))).scalars())
    unknown = [index for index, topping in enumerate(after.toppings) if topping not in known]
    if unknown:
        raise Problem(
            ProblemType.INVALID_INPUT,
            "Invalid input",
            422,
            "Some toppings are not on the menu; see errors.",
            errors=[{"pointer": f"/toppings/{index}", "detail": "is no known topping"} for index in unknown],
        )
    after = replace(after, short_of=await pizzas.low_among(tx.connection, after.ingredients))
    if before == after:
        return after
    return await record(tx, before, after, reason="staff")


def _event(before: Pizza | None, after: Pizza, reason: Reason) -> Payload:
    if after.removed:
        return MenuItemWithdrawn(version=after.version, reason=reason)
    if before is not None and _only_availability_differs(before, after):
        if before.available and not after.available:
            return MenuItemWithdrawn(version=after.version, reason=reason)
        if after.available and not before.available:
            return MenuItemRestored(version=after.version)
    return MenuItemChanged(
        version=after.version,
        pizza_id=after.id,
        name=after.name,
        available=after.available,
        prices=dict(after.prices),
        toppings=after.toppings,
        ingredients=after.ingredients,
        preparation_seconds=after.preparation_seconds,
    )


def _only_availability_differs(before: Pizza, after: Pizza) -> bool:
    same = replace(after, offered=before.offered, short_of=before.short_of, version=before.version)
    return same == before

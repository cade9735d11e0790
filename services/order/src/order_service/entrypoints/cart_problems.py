"""What refusals around carts look like over HTTP."""

from pizzeria_chassis.problems import Problem, not_found, unavailable
from pizzeria_contracts.problems import ProblemType

from order_service.domain.errors import (
    CartBusy,
    CartChanged,
    CartEmpty,
    CartError,
    CartFull,
    CartGone,
    CartNotAsShown,
    CartSpent,
    CartsUnavailable,
    PricesChanged,
    UnknownLine,
)
from order_service.entrypoints.cart_views import PriceChangeView


def cart_problem(error: CartError) -> Problem:
    detail = str(error)
    match error:
        case CartsUnavailable():
            return unavailable(detail)
        case UnknownLine():
            return not_found(detail)
        case CartGone():
            return Problem(ProblemType.CART_GONE, "Your cart is gone", 404, detail)
        case CartEmpty():
            slug = ProblemType.CART_GONE if error.gone else ProblemType.CART_EMPTY
            return Problem(slug, "Nothing to order", 409, detail)
        case CartNotAsShown():
            return Problem(ProblemType.VERSION_MISMATCH, "The cart has changed", 412, detail)
        case CartFull():
            return Problem(ProblemType.CONFLICT, "The cart is full", 409, detail)
        case CartBusy() | CartChanged():
            headers = {"Retry-After": "1"}
            return Problem(ProblemType.REQUEST_IN_PROGRESS, "Still running", 409, detail, headers=headers)
        case CartSpent():
            return Problem(ProblemType.CONFLICT, "Ordered already", 409, detail)
        case PricesChanged():
            pairs = enumerate(zip(error.shown, error.now, strict=True))
            changes = [
                PriceChangeView.of(index, old, new).model_dump(mode="json")
                for index, (old, new) in pairs
                if old != new
            ]
            return Problem(ProblemType.PRICE_CHANGED, "Prices have changed", 409, detail, changes=changes)
    raise error

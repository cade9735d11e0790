"""Problem types (RFC 9457) of all services. A slug is forever: clients branch on it."""

from enum import StrEnum

__all__ = ["ProblemType"]


class ProblemType(StrEnum):
    """The slug of a problem; ``uri`` is the ``type`` member of the answer."""

    # any service
    UNPARSABLE_BODY = "unparsable-body"
    INVALID_INPUT = "invalid-input"
    BODY_TOO_LARGE = "body-too-large"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    VERSION_MISMATCH = "version-mismatch"
    VERSION_REQUIRED = "version-required"
    RATE_LIMITED = "rate-limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    # idempotent requests
    IDEMPOTENCY_KEY_REUSED = "idempotency-key-reused"
    REQUEST_IN_PROGRESS = "request-in-progress"
    # order
    PIZZA_UNAVAILABLE = "pizza-unavailable"
    MENU_UNAVAILABLE = "menu-unavailable"
    CART_EMPTY = "cart-empty"
    CART_GONE = "cart-gone"
    PRICE_CHANGED = "price-changed"
    KITCHEN_FULL = "kitchen-full"
    TOO_LATE_TO_CANCEL = "too-late-to-cancel"
    # kitchen
    STALE_LEASE = "stale-lease"
    WRONG_STATE = "wrong-state"
    STATION_FULL = "station-full"

    @property
    def uri(self) -> str:
        return f"/problems/{self.value}"

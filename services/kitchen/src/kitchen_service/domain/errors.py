"""What the kitchen refuses. Each error has a kind and a slug; one place makes it an HTTP status."""

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    NOT_FOUND = "not-found"
    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"


class KitchenError(Exception):
    """Base of all refusals; the message is a sentence that says what to do."""

    kind: ClassVar[Kind] = Kind.CONFLICT
    slug: ClassVar[str] = "conflict"
    title: ClassVar[str] = "Conflict"


class NotFound(KitchenError):  # noqa: N818 - named by what is the case
    """There is no such station, ticket, ingredient or delivery."""

    kind = Kind.NOT_FOUND
    slug = "not-found"
    title = "Not found"

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"There is no {what} {name!r} in this kitchen.")


class WrongState(KitchenError):  # noqa: N818 - named by what is the case
    """The transition table has no such step from the present state."""

    slug = "wrong-state"
    title = "Wrong state"


class StaleLease(KitchenError):  # noqa: N818 - named by what is the case
    """The caller's fencing token is not the newest of the ticket, or its lease ran out."""

    slug = "stale-lease"
    title = "Stale lease"

    def __init__(self, ticket_id: str) -> None:
        super().__init__(f"Ticket {ticket_id} is no longer yours: stop the work and claim another one.")


class StationFull(KitchenError):  # noqa: N818 - named by what is the case
    """The station already holds as many tickets as it can cook at once."""

    slug = "station-full"
    title = "Station full"

    def __init__(self, station_id: str, capacity: int) -> None:
        super().__init__(
            f"Station {station_id} holds {capacity} tickets already: complete or fail one first."
        )


class StationClosed(KitchenError):  # noqa: N818 - named by what is the case
    """A manager has closed the station."""

    slug = "station-closed"
    title = "Station closed"

    def __init__(self, station_id: str) -> None:
        super().__init__(f"Station {station_id} is closed: work at another one, or ask a manager to open it.")


class StationBusy(KitchenError):  # noqa: N818 - named by what is the case
    """A station cannot shrink below what it holds."""

    slug = "station-busy"
    title = "Station busy"

    def __init__(self, station_id: str, held: int) -> None:
        super().__init__(f"Station {station_id} holds {held} tickets: let it finish them first.")


class TooManyStations(KitchenError):  # noqa: N818 - named by what is the case
    """The kitchen has no room for another station."""

    slug = "too-many-stations"
    title = "Too many stations"

    def __init__(self, most: int) -> None:
        super().__init__(f"The kitchen has {most} stations already: change one of them.")


class OutOfStock(KitchenError):  # noqa: N818 - named by what is the case
    """More of an ingredient is asked for than there is."""

    slug = "out-of-stock"
    title = "Out of stock"

    def __init__(self, ingredients: tuple[str, ...]) -> None:
        super().__init__(f"There is not enough of: {', '.join(ingredients)}.")
        self.ingredients = ingredients


class OtherDriver(KitchenError):  # noqa: N818 - named by what is the case
    """Another driver has this order."""

    slug = "wrong-state"
    title = "Wrong state"

    def __init__(self, order_id: str) -> None:
        super().__init__(f"Order {order_id} is with another driver: choose one that is waiting.")


class KeyReused(KitchenError):  # noqa: N818 - named by what is the case
    """The idempotency key was used for something else."""

    slug = "idempotency-key-reused"
    title = "Idempotency key reused"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key belongs to another request: send a new key with a new request."
        )


class DispatchAway(KitchenError):  # noqa: N818 - named by what is the case
    """The queue in Redis cannot be reached."""

    kind = Kind.UNAVAILABLE
    slug = "unavailable"
    title = "Dispatch unavailable"

    def __init__(self) -> None:
        super().__init__("The dispatch queue cannot be reached: try again in a moment. Nothing was claimed.")

"""What the use cases need of the world; the adapters provide it, the composition root plugs it in."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from pizzeria_chassis.transaction import Transaction
from pizzeria_contracts.menu import Menu
from pizzeria_contracts.payloads import Priority

from order_service.domain.load import Backlog, Pace
from order_service.domain.news import Settlement
from order_service.domain.notices import Notice
from order_service.domain.order import Order
from order_service.domain.records import (
    Customer,
    Dossier,
    Due,
    JourneyEntry,
    Letter,
    OrderFilter,
    Session,
    StoredAnswer,
)
from order_service.domain.saga import Answer, Step


class PaymentProvider(Protocol):
    """The payment provider. Every call is safe to send again with the same key.

    All raise ProviderUnavailable when there is no answer in time, ProviderNotAsked when it is not asked.
    """

    def knows(self, token: str) -> bool:
        """Whether this can be the token of a card; no I/O."""
        ...

    async def charge(self, key: str, amount: Decimal, token: str) -> Answer:
        """Capture `amount` EUR once per key: CAPTURED, DECLINED, or VOIDED when a refund came first."""
        ...

    async def lookup(self, key: str) -> Answer:
        """What is held under the key; UNKNOWN when nothing ever arrived."""
        ...

    async def refund(self, key: str) -> Settlement:
        """Give back whatever was captured, and take nothing under this key ever after."""
        ...


class Kitchen(Protocol):
    async def heard_out(self) -> bool:
        """Whether all that the kitchen has told by now was handled here, or the kitchen is away."""
        ...


class KitchenLoad(Protocol):
    @property
    def pace(self) -> Pace:
        """As the kitchen has last told."""
        ...

    async def backlog(self) -> Backlog:
        """What is open, at most a quarter of a second old, with all that this process has added since."""
        ...

    def adding(self, pizzas: int, priority: Priority) -> AbstractContextManager[None]:
        """An order more is being written: from now on it is in the backlog, unless that fails."""
        ...

    def lead(self, order: Order) -> timedelta:
        """How long the kitchen would take for the order, by what was last known. No I/O."""
        ...

    async def scheduled_around(self, time: datetime) -> int:
        """Orders for later whose time is at most half an hour from this one."""
        ...


class Tickets(Protocol):
    async def history(self, order_id: str) -> Sequence[JourneyEntry]:
        """What happened to the tickets of an order. Raises KitchenAway."""
        ...


class Letters(Protocol):
    async def about(self, order_id: str) -> Sequence[JourneyEntry]:
        """Events about an order that some service gave up on. Raises LettersAway."""
        ...


class Watch(Protocol):
    def following(self, order_id: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """An event that is set whenever the order may have changed; the follower clears it."""
        ...


class MenuSource(Protocol):
    async def current(self) -> Menu:
        """The menu to price by. Raises MenuUnavailable."""
        ...


class Orders(Protocol):
    """All orders. Whatever an order recorded is published in the transaction that saves it."""

    async def get(self, order_id: str) -> Order | None: ...

    async def find(self, wanted: OrderFilter) -> Sequence[Order]: ...

    async def journey(self, order_id: str) -> Sequence[JourneyEntry]: ...

    async def answer_to(self, customer_id: str, key: str) -> StoredAnswer | None:
        """What was answered to this key; None when it is new or has run out."""
        ...

    async def add(self, order: Order, answer: StoredAnswer | None, cart_id: str | None) -> None:
        """Write a new order, the answer that a repeat of the request gets, and that the cart is spent.

        Raises, and then nothing is written: KeyTaken when another request with that key was faster; CartSpent
        when this is not the guest's cart (any more); UnknownGuest.
        """
        ...

    async def change(self, order_id: str, change: Callable[[Order], None]) -> Order:
        """Load, change, save, in one transaction that is repeated when somebody else was faster.

        Raises UnknownOrder; whatever `change` raises leaves everything as it was.
        """
        ...

    async def change_in(self, tx: Transaction, order_id: str, change: Callable[[Order], None]) -> Order:
        """The same inside a transaction that has begun, for the consumers of events."""
        ...

    async def due(self, now: datetime, steps: Sequence[Step], limit: int) -> Sequence[str]:
        """Ids of orders whose next step is one of these and anybody's to take up, longest due first."""
        ...


class Mailbox(Protocol):
    """What guests are to be told, and what they were told."""

    async def deliver(
        self, due: Sequence[Due], content: Callable[[Notice, Order], Mapping[str, object]]
    ) -> None:
        """Write letters of what is still due of these, which then is not due any more. One transaction;
        whatever `content` raises leaves everything as it was."""
        ...

    async def overdue(self, since: datetime, limit: int) -> list[Due]:
        """What set out before then and has not arrived, longest first."""
        ...

    async def set_out(self, due: Sequence[Due], now: datetime) -> None: ...

    async def letters(self, customer_id: str, after: str | None, limit: int) -> Sequence[Letter]:
        """A guest's letters, newest first, older than the letter `after`."""
        ...


class Customers(Protocol):
    """Guests and their sessions, by the digest of the session's token."""

    async def enter(self, customer: Customer, session: Session) -> None:
        """Write a new guest and the first session."""
        ...

    async def enter_again(self, session: Session, *, most: int) -> None:
        """Write one more session of a guest, who keeps the `most` newest. Raises UnknownGuest."""
        ...

    async def session(self, token_sha256: str) -> Session | None: ...

    async def slide(self, token_sha256: str, idle_until: datetime) -> None:
        """Let a session live on; nothing happens when it has ended."""
        ...

    async def rename(self, token_sha256: str, successor_sha256: str) -> Session | None:
        """The session, known by another digest from now on; None when there is no such session."""
        ...

    async def leave(self, token_sha256: str) -> None:
        """End one session; harmless when it has ended."""
        ...

    async def leave_everywhere(self, customer_id: str) -> None: ...


class Profiles(Protocol):
    """What is kept about a guest."""

    async def customer(self, customer_id: str) -> Customer | None: ...

    async def change(self, customer_id: str, changes: Mapping[str, str | None]) -> Customer | None:
        """The guest with these fields changed; None when there is no such guest."""
        ...

    async def dossier(self, customer_id: str) -> Dossier | None:
        """All of it but the cart, as of one moment; None when there is no such guest."""
        ...

    async def erase(self, customer_id: str) -> None:
        """Delete what is personal; orders stay as nobody's. Raises UnknownGuest, OrdersOpen."""
        ...


@dataclass(frozen=True)
class SeenSession:
    """A session that the lane knows: used within its idle time, and vouched for until then."""

    customer_id: str
    vouched_until: datetime


class SessionLane(Protocol):
    """Answers for moments who is signed in, and forgets what nobody uses. It may lose everything or be away:
    then it knows nothing, and SQL is asked. Those that return a bool: False when it could not be told.
    """

    async def begin(self, customer_id: str, until: datetime) -> str:
        """A new random token, vouched for until then."""
        ...

    async def load(self, token: str) -> SeenSession | None:
        """What it knows of the session, whose idle time begins anew."""
        ...

    async def vouch(self, token: str, until: datetime) -> None:
        """SQL has said that this session lives. Nothing happens when the lane has ended it."""
        ...

    def successor(self, token: str) -> str:
        """A random token to take the place of this one."""
        ...

    async def rotate(self, token: str, successor: str) -> bool: ...

    async def end(self, token: str) -> bool: ...

    async def end_all(self, customer_id: str) -> bool: ...

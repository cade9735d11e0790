"""The kitchen's table of contents: everything that it can be asked, told, and that it tells."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from pizzeria_contracts.events import KITCHEN_PAYLOADS, Payload

from kitchen_service.adapters.views import Views
from kitchen_service.use_cases.abandon_tickets import AbandonTickets
from kitchen_service.use_cases.accept_order import AcceptOrder
from kitchen_service.use_cases.arrange_station import ArrangeStation
from kitchen_service.use_cases.cancel_order import CancelOrder
from kitchen_service.use_cases.claim_ticket import ClaimTicket
from kitchen_service.use_cases.complete_ticket import CompleteTicket
from kitchen_service.use_cases.deliver_order import DeliverOrder
from kitchen_service.use_cases.extend_lease import ExtendLease
from kitchen_service.use_cases.fail_ticket import FailTicket
from kitchen_service.use_cases.ports import Books
from kitchen_service.use_cases.restock import Restock
from kitchen_service.use_cases.sweep import Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """What stations, drivers and managers ask over HTTP."""

    arrange_station: ArrangeStation
    claim_ticket: ClaimTicket
    extend_lease: ExtendLease
    complete_ticket: CompleteTicket
    fail_ticket: FailTicket
    restock: Restock
    deliver_order: DeliverOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriptions:
    """What events of other services lead to."""

    accept_order: AcceptOrder  # order.confirmed
    cancel_order: CancelOrder  # order.cancellation_requested, order.cancelled
    learn_recipe: Callable[[Books, str, int, Sequence[str]], Awaitable[None]]  # menu.item_changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Kitchen:
    commands: Commands
    subscriptions: Subscriptions
    queries: Views
    sweep: Sweep  # by the clock, every second
    abandon_tickets: AbandonTickets  # the same


PUBLISHES: Final[tuple[type[Payload], ...]] = KITCHEN_PAYLOADS

"""A guest's own data: shown, corrected, handed over, deleted (ADR 0055)."""

from collections.abc import Mapping
from dataclasses import replace

from order_service.domain.errors import CartsUnavailable, UnknownGuest
from order_service.domain.records import Customer, Dossier
from order_service.use_cases.cart_ports import Carts, Owner
from order_service.use_cases.ports import Profiles
from order_service.use_cases.sessions import Sessions


class Profile:
    """All raise UnknownGuest for one who is not known (any more)."""

    def __init__(self, *, profiles: Profiles, carts: Carts, sessions: Sessions) -> None:
        self._profiles = profiles
        self._carts = carts
        self._sessions = sessions

    async def show(self, customer_id: str) -> Customer:
        return _known(await self._profiles.customer(customer_id))

    async def change(self, customer_id: str, changes: Mapping[str, str | None]) -> Customer:
        """Change the fields named, and no other."""
        return _known(await self._profiles.change(customer_id, changes))

    async def export(self, customer_id: str) -> Dossier:
        """All that is kept about the guest: what SQL holds as of one moment, and the cart."""
        dossier = await self._profiles.dossier(customer_id)
        if dossier is None:
            raise UnknownGuest
        try:
            found = await self._carts.find(Owner.guest(customer_id))
        except CartsUnavailable:
            return dossier
        return replace(dossier, cart=found.cart.lines)

    async def erase(self, customer_id: str) -> None:
        """Delete all that is personal. Orders stay, as nobody's: what was sold and paid are our facts too.

        When this returns the guest's sessions are dead everywhere.

        Raises: OrdersOpen while an order has not ended, money included; then nothing is changed.
        """
        await self._profiles.erase(customer_id)
        await self._carts.forget(Owner.guest(customer_id))
        await self._sessions.forget(customer_id)


def _known(customer: Customer | None) -> Customer:
    if customer is None:
        raise UnknownGuest
    return customer

"""How often: orders per guest, new sessions per address. Without Redis nobody is held back."""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address
from typing import Any

from fastapi import Depends, Request
from pizzeria_chassis.chassis import Chassis
from rediscore.ratelimit import GCRA, RateLimiter
from rediscore.ratelimit.fastapi import rate_limited

from order_service.entrypoints.guests import Guest
from order_service.settings import OrderSettings

MINUTE = timedelta(minutes=1)
_NETWORK_BITS = 64


@dataclass(frozen=True)
class Limits:
    """Dependencies of the routes that are limited."""

    orders: Any
    sessions: Any


def limits_of(chassis: Chassis, settings: OrderSettings) -> Limits:
    """Limits that all replicas share. After a rest a whole minute's worth may come at once."""
    token = settings.tokens.get("service")
    secret = token.get_secret_value().encode() if token is not None else None

    def limiter(name: str, limit: int) -> RateLimiter:
        return RateLimiter(
            chassis.connections,
            name,
            GCRA(limit, MINUTE),
            keys=chassis.keys,
            when_unavailable="allow",
            secret=secret,
            metrics=chassis.metrics,
        )

    return Limits(
        orders=Depends(rate_limited(limiter("orders", settings.order_rate_limit), key=_guest)),
        sessions=Depends(rate_limited(limiter("sessions", settings.session_rate_limit), key=_address)),
    )


def _guest(guest: Guest) -> str:
    return guest.id


def _address(request: Request) -> str:
    """The client's address; of IPv6 its network, for one client has all addresses of it."""
    host = request.client.host if request.client is not None else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(IPv6Address(int(address) >> _NETWORK_BITS << _NETWORK_BITS))
    return host

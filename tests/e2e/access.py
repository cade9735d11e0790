"""Who may call what: every operation of every service, as one table."""

from collections.abc import Mapping
from typing import Final

ALL: Final = frozenset({"nobody", "stranger", "guest", "cook", "driver", "manager", "service"})
GUEST: Final = frozenset({"guest"})
READER: Final = frozenset({"guest", "manager"})
COOK: Final = frozenset({"cook", "manager"})
DRIVER: Final = frozenset({"driver", "manager"})
STAFF: Final = COOK | DRIVER
MANAGER: Final = frozenset({"manager"})
OPERATOR: Final = frozenset({"manager", "service"})

EVERYWHERE: Final[Mapping[str, frozenset[str]]] = {
    "GET /health/live": ALL,
    "GET /health/ready": ALL,
    "GET /metrics": OPERATOR,
    "GET /events": OPERATOR,
    "GET /events/head": OPERATOR,
    "GET /events/positions": OPERATOR,
}
OPERATIONS_UNDER_OPS: Final = MANAGER
"""Whatever a service has below `/ops/`."""

ACCESS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "order": {
        **EVERYWHERE,
        "GET /menu": ALL,
        "POST /sessions": ALL,
        "POST /sessions/rotate": GUEST,
        "DELETE /sessions/current": GUEST,
        "DELETE /sessions": GUEST,
        "GET /me": GUEST,
        "PATCH /me": GUEST,
        "DELETE /me": GUEST,
        "GET /me/export": GUEST,
        "GET /me/mailbox": GUEST,
        "POST /me/sessions": GUEST,
        "POST /carts": ALL,
        "GET /cart": GUEST,
        "POST /cart/items": GUEST,
        "PATCH /cart/items/{line_id}": GUEST,
        "DELETE /cart/items/{line_id}": GUEST,
        "POST /cart/merge": GUEST,
        "POST /cart/checkout": GUEST,
        "POST /orders": GUEST,
        "GET /orders": READER,
        "GET /orders/{order_id}": READER,
        "GET /orders/{order_id}/journey": READER,
        "GET /orders/{order_id}/live": READER,
        "POST /orders/{order_id}/cancel": GUEST,
    },
    "kitchen": {
        **EVERYWHERE,
        "GET /queue": COOK,
        "GET /stations": COOK,
        "PUT /stations/{station_id}": MANAGER,
        "GET /estimates": COOK,
        "POST /stations/{station_id}/claim": COOK,
        "POST /tickets/{ticket_id}/extend": COOK,
        "POST /tickets/{ticket_id}/complete": COOK,
        "POST /tickets/{ticket_id}/fail": COOK,
        "GET /inventory": COOK,
        "GET /inventory/recipes": COOK,
        "POST /inventory/{ingredient}/restock": COOK,
        "GET /deliveries": DRIVER,
        "POST /deliveries/{order_id}/start": DRIVER,
        "POST /deliveries/{order_id}/complete": DRIVER,
        "GET /live": STAFF,
        "GET /pace": OPERATOR,
        "GET /orders/{order_id}/history": OPERATOR,
    },
    "menu": {
        **EVERYWHERE,
        "GET /menu": ALL,
        "GET /menu/{pizza_id}": ALL,
        "PUT /menu/{pizza_id}": MANAGER,
        "PATCH /menu/{pizza_id}": MANAGER,
        "DELETE /menu/{pizza_id}": MANAGER,
    },
    "analytics": {
        **EVERYWHERE,
        "GET /popular": ALL,
        "GET /hourly": MANAGER,
        "GET /revenue": MANAGER,
        "GET /timings": MANAGER,
        "GET /cancellations": MANAGER,
        "GET /leaderboards/{name}": MANAGER,
        "GET /journeys/{order_id}": MANAGER,
        "GET /as-of": MANAGER,
        "GET /live": MANAGER,
        "GET /segments": MANAGER,
        "GET /segments/overlap": MANAGER,
        "GET /segments/{name}": MANAGER,
        "GET /campaigns": MANAGER,
        "POST /campaigns": MANAGER,
        "GET /campaigns/{campaign_id}": MANAGER,
        "GET /campaigns/{campaign_id}/audience": MANAGER,
        "GET /projections": MANAGER,
        "GET /projections/check": MANAGER,
        "POST /projections/rebuild": MANAGER,
        "GET /projections/rebuilds": MANAGER,
        "GET /projections/rebuilds/{rebuild_id}": MANAGER,
    },
}

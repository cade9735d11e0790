"""What `pizzeria up` prints when everything is ready."""

import json
from urllib.parse import urlsplit

from pizzeria.home import Home
from pizzeria.state import State

_ORDER = {
    "items": [{"pizza_id": "margherita", "size": "medium", "quantity": 1}],
    "payment": {"token": "tok_approved"},
}


def curl_lines(order_url: str, token: str) -> tuple[str, str]:
    """Two lines for a POSIX shell: the first places an order, shows the answer and keeps the id; the second
    follows the order.
    """
    authorized = f"-H 'Authorization: Bearer {token}'"
    place = (
        f"ORDER=$(curl -sS {order_url}/orders {authorized} -H 'Content-Type: application/json' "
        f"-d '{json.dumps(_ORDER, separators=(',', ':'))}' "
        """| tee /dev/stderr | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4); echo"""
    )
    return place, f"curl -sSN {order_url}/orders/$ORDER/live {authorized}"


def greeting(state: State, home: Home, *, guest_token: str, seconds: float) -> str:
    """Addresses, an order to paste, what to try."""
    place, follow = curl_lines(state.services["order"].url, guest_token)
    addresses = "\n".join(
        f"  {name:<10} {endpoint.url:<24} {endpoint.url}/docs" for name, endpoint in state.services.items()
    )
    redis = urlsplit(state.redis.url)
    victim = state.services["kitchen"].pid
    return f"""\
Mario's Pizzeria is open ({seconds:.1f} s).

{addresses}
  {"redis":<10} {redis.hostname}:{redis.port}

Each address is a page for people, too: guests order at the first, cooks and drivers work at the second.
Pages ask for a token: .venv/bin/pizzeria token cook | driver | manager

Order a margherita and follow it, in another terminal:

{place}
{follow}

or: .venv/bin/pizzeria order

Then break something. No accepted order is lost:

  kill -9 {victim}{" " * (12 - len(str(victim)))} the kitchen dies and comes back
  kill -9 {state.redis.pid}{" " * (12 - len(str(state.redis.pid)))} Redis dies and comes back
  .venv/bin/pizzeria status | menu | down

Tokens and process ids: {home.state_file}   logs: {home.logs}   Ctrl-C ends everything.
"""

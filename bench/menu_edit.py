"""How soon an edit of the menu is seen by another service: `python -m bench.menu_edit`.

Starts the whole pizzeria (embedded Redis, SQLite, four processes). A manager changes a price at the menu
service again and again; from the moment of its answer the order service is asked, over HTTP and without
pause, until its menu has the new price. Prints milliseconds, writes bench/results/menu_edit.json.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles

import httpx
from pizzeria.home import Home
from pizzeria.supervisor import Supervisor, SupervisorOptions

RESULTS = Path(__file__).parent / "results" / "menu_edit.json"
PIZZA = "margherita"


async def measure(edits: int) -> dict[str, float]:
    """Milliseconds from the answer to the edit until the other service shows it."""
    with tempfile.TemporaryDirectory() as folder:
        async with (
            Supervisor(SupervisorOptions(home=Home(Path(folder)), any_port=True, simulation=None)) as running,
            httpx.AsyncClient(timeout=10) as http,
        ):
            urls = {name: service.url for name, service in running.state.services.items()}
            manager = {"Authorization": f"Bearer {running.state.tokens['manager']}"}
            times = []
            for number in range(edits):
                seen = await http.get(f"{urls['menu']}/menu/{PIZZA}")
                price = f"{10 + number % 90}.00"
                changed = await http.patch(
                    f"{urls['menu']}/menu/{PIZZA}",
                    json={"prices": {"medium": {"amount": price, "currency": "EUR"}}},
                    headers={**manager, "If-Match": seen.headers["ETag"]},
                )
                changed.raise_for_status()
                answered = time.perf_counter()
                while await price_at(http, urls["order"]) != price:
                    assert time.perf_counter() - answered < 10, "the edit was not seen"
                times.append((time.perf_counter() - answered) * 1000)
    cuts = quantiles(times, n=100, method="inclusive")
    return {
        "edits": edits,
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(max(times), 1),
    }


async def price_at(http: httpx.AsyncClient, url: str) -> str:
    items = (await http.get(f"{url}/menu")).json()["items"]
    pizza = next(item for item in items if item["id"] == PIZZA)
    price: str = pizza["prices"]["medium"]["amount"]
    return price


def main() -> int:
    parser = argparse.ArgumentParser(description="How soon an edit of the menu is seen by another service.")
    parser.add_argument("--edits", type=int, default=200)
    found = asyncio.run(measure(parser.parse_args().edits))
    print(" ".join(f"{name} {value:g}" for name, value in found.items()))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

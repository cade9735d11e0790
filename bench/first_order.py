"""From `make demo` to the first delivered order: `python -m bench.first_order`.

Runs `pizzeria up --fresh --quiet` (what `make demo` runs when the environment is there) in a folder of
its own, places one order as soon as it is ready and waits until it is delivered. Prints the seconds and
writes bench/results/first_order.json.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

RESULTS = Path(__file__).parent / "results" / "first_order.json"
AIM = 6.0  # seconds, when the environment exists
PATIENCE = 120.0
BODY = {
    "items": [{"pizza_id": "margherita", "size": "medium", "quantity": 1}],
    "payment": {"token": "tok_approved"},
}


def main() -> int:
    parser = argparse.ArgumentParser(description="From `make demo` to the first delivered order.")
    parser.add_argument("--runs", type=int, default=3)
    runs = [measure() for _ in range(parser.parse_args().runs)]
    for run in runs:
        print(" ".join(f"{what} {seconds:.1f} s" for what, seconds in run.items()), f"(aim: {AIM:.0f} s)")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(runs, indent=2) + "\n")
    return 0


def measure() -> dict[str, float]:
    """Seconds from the command until everything is ready, and until the order is delivered."""
    with tempfile.TemporaryDirectory() as folder, httpx.Client(timeout=5) as http:
        begun = time.perf_counter()
        command = [sys.executable, "-m", "pizzeria", "up", "--fresh", "--quiet"]
        environment = os.environ | {"PIZZERIA_HOME": folder}
        demo = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        try:
            url = wait_for(Path(folder, "state.json"), begun)["services"]["order"]["url"]
            ready = time.perf_counter() - begun
            session = http.post(f"{url}/sessions", json={"name": "Bench"}).raise_for_status().json()
            guest = {"Authorization": f"Bearer {session['token']}"}
            order = http.post(f"{url}/orders", json=BODY, headers=guest).raise_for_status().json()["id"]
            while http.get(f"{url}/orders/{order}", headers=guest).json()["status"] != "delivered":
                assert time.perf_counter() - begun < PATIENCE, "the order was not delivered"
                time.sleep(0.02)
            return {"ready": round(ready, 2), "delivered": round(time.perf_counter() - begun, 2)}
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(timeout=30)


def wait_for(state: Path, begun: float) -> Any:
    while not state.exists():
        assert time.perf_counter() - begun < PATIENCE, "the pizzeria was not ready"
        time.sleep(0.01)
    return json.loads(state.read_text())


if __name__ == "__main__":
    sys.exit(main())

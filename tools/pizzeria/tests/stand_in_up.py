"""`pizzeria up --quiet` with stand-ins for the services: stand_in_up.py HOME."""

import asyncio
import sys
from pathlib import Path

from pizzeria.errors import PizzeriaError
from pizzeria.home import Home
from pizzeria.supervisor import SupervisorOptions
from pizzeria.up import Run

STAND_IN = [sys.executable, "-I", str(Path(__file__).with_name("stand_in.py"))]


async def main() -> None:
    options = SupervisorOptions(
        home=Home(Path(sys.argv[1])),
        any_port=True,
        commands=dict.fromkeys(("order", "kitchen", "menu", "analytics", "simulators"), STAND_IN),
        grace_seconds=3,
    )
    await Run(options, quiet=True).until_told()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except PizzeriaError as error:
        sys.exit(str(error))

"""`python -m pizzeria.simulators`: all simulated people in one process; SIGTERM ends it with exit code 0."""

import asyncio
import logging
import signal
import sys
from random import Random

import httpx

from pizzeria.errors import PizzeriaError
from pizzeria.simulators.api import Api
from pizzeria.simulators.cooks import run_cooks
from pizzeria.simulators.customers import run_customers
from pizzeria.simulators.drivers import run_drivers
from pizzeria.simulators.settings import SimulatorSettings
from pizzeria.simulators.storekeeper import run_storekeeper


async def simulate(settings: SimulatorSettings, *, random: Random) -> None:
    """Everybody works until this is cancelled."""
    async with httpx.AsyncClient() as client, asyncio.TaskGroup() as people:
        cooks = Api(client, settings.kitchen_url, settings.cook_token)
        people.create_task(run_cooks(cooks, random=random))
        drivers = Api(client, settings.kitchen_url, settings.driver_token)
        people.create_task(run_drivers(drivers, settings.drivers, random=random))
        if settings.orders_per_second > 0:
            people.create_task(run_storekeeper(cooks, random=random))
            people.create_task(
                run_customers(
                    client,
                    order_url=settings.order_url,
                    menu_url=settings.menu_url,
                    rate=settings.orders_per_second,
                    random=random,
                )
            )


async def _until_told(settings: SimulatorSettings) -> None:
    work = asyncio.create_task(simulate(settings, random=Random()))  # noqa: S311  no secrets here
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, work.cancel)
    try:
        await work
    except asyncio.CancelledError:
        return


def main() -> None:
    """Entry point."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("httpx").setLevel(logging.WARNING)  # a line per call would be all there is to see
    try:
        settings = SimulatorSettings.from_environment()
    except PizzeriaError as error:
        sys.exit(str(error))
    asyncio.run(_until_told(settings))


if __name__ == "__main__":
    main()

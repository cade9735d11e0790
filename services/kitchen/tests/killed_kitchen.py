"""A kitchen that dies between the commit of tickets and their way into the queue. Run as a process."""

import os
import signal
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from kitchen_service.bootstrap import create_kitchen_app
from kitchen_service.domain.ticket import Ticket
from kitchen_service.settings import KitchenSettings
from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings


class DyingDispatch:
    """Everything as it is, until tickets are offered."""

    def __init__(self, dispatch: Any) -> None:
        self._dispatch = dispatch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dispatch, name)

    async def offer(self, tickets: Sequence[Ticket]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def create(settings: KitchenSettings) -> FastAPI:
    return create_kitchen_app(settings, around_dispatch=DyingDispatch)


if __name__ == "__main__":
    serve(create, load_settings(KitchenSettings))

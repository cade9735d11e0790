"""What the simulators need to know, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pizzeria.errors import PizzeriaError


@dataclass(frozen=True, slots=True)
class SimulatorSettings:
    """Where the services are, and whose work is simulated.

    Args:
        orders_per_second: of all simulated customers together, on average; 0 for none.
        drivers: how many deliver at the same time.
    """

    order_url: str
    kitchen_url: str
    menu_url: str
    cook_token: str = field(repr=False)
    driver_token: str = field(repr=False)
    orders_per_second: float = 0.5
    drivers: int = 6

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """`ORDER_URL`, `KITCHEN_URL`, `MENU_URL`, `COOK_TOKEN`, `DRIVER_TOKEN` (or `*_TOKEN_FILE`),
        `ORDERS_PER_SECOND`.

        Raises: PizzeriaError that names what is missing or wrong.
        """
        try:
            rate = float(environment.get("ORDERS_PER_SECOND") or 0.5)
        except ValueError:
            raise PizzeriaError("ORDERS_PER_SECOND must be a number, such as 0.5.") from None
        return cls(
            order_url=environment.get("ORDER_URL", "http://127.0.0.1:8001"),
            kitchen_url=environment.get("KITCHEN_URL", "http://127.0.0.1:8002"),
            menu_url=environment.get("MENU_URL", "http://127.0.0.1:8003"),
            cook_token=_token("COOK_TOKEN", environment),
            driver_token=_token("DRIVER_TOKEN", environment),
            orders_per_second=rate,
        )


def _token(name: str, environment: Mapping[str, str]) -> str:
    if file := environment.get(f"{name}_FILE"):
        return Path(file).read_text().strip()
    if not (token := environment.get(name)):
        raise PizzeriaError(f"{name} (or {name}_FILE) must be set to the token that the services know.")
    return token

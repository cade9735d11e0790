"""The published contract: python -m order_service.contract write|check."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from pizzeria_chassis.contract import main
from pydantic import SecretStr
from rediscore.settings import RedisSettings

from order_service.bootstrap import create_order_app
from order_service.settings import OrderSettings

FOLDER: Final = Path(__file__).parents[2]


def demo_app() -> FastAPI:
    """The app with settings that need no environment; nothing is connected."""
    return create_order_app(
        OrderSettings(
            environment="demo",
            database_url=SecretStr("sqlite:///order.db"),
            redis=RedisSettings.from_url("redis://127.0.0.1:6379/0"),
        )
    )


if __name__ == "__main__":
    main(FOLDER, demo_app)

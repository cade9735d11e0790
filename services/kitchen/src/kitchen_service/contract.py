"""The published contract: python -m kitchen_service.contract write|check."""

from pathlib import Path
from typing import Final

from fastapi import FastAPI
from pizzeria_chassis.contract import main
from pydantic import SecretStr
from rediscore.settings import RedisSettings

from kitchen_service.bootstrap import create_kitchen_app
from kitchen_service.settings import KitchenSettings

FOLDER: Final = Path(__file__).parents[2]


def demo_app() -> FastAPI:
    """The app with settings that need no environment; nothing is connected."""
    return create_kitchen_app(
        KitchenSettings(
            environment="demo",
            database_url=SecretStr("sqlite:///kitchen.db"),
            redis=RedisSettings.from_url("redis://127.0.0.1:6379/0"),
        )
    )


if __name__ == "__main__":
    main(FOLDER, demo_app)

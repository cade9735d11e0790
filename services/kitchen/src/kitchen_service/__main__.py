"""Run the kitchen: python -m kitchen_service."""

from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings

from kitchen_service.bootstrap import create_kitchen_app
from kitchen_service.settings import KitchenSettings


def main() -> None:
    """Serve until SIGTERM; settings come from the environment."""
    serve(create_kitchen_app, load_settings(KitchenSettings))


if __name__ == "__main__":
    main()

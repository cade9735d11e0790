"""Run the menu service: ``python -m menu_service``."""

from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings

from menu_service.app import create_menu_app
from menu_service.settings import MenuSettings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve(create_menu_app, load_settings(MenuSettings))


if __name__ == "__main__":
    main()

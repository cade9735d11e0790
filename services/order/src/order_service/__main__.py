"""Run the order service: `python -m order_service`, settings from the environment."""

from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings

from order_service.bootstrap import create_order_app
from order_service.settings import OrderSettings


def main() -> None:
    serve(create_order_app, load_settings(OrderSettings))


if __name__ == "__main__":
    main()

"""Run the analytics service: ``python -m analytics_service``."""

from pizzeria_chassis.serve import serve
from pizzeria_chassis.settings import load_settings

from analytics_service.app import create_analytics_app
from analytics_service.settings import AnalyticsSettings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    serve(create_analytics_app, load_settings(AnalyticsSettings))


if __name__ == "__main__":
    main()

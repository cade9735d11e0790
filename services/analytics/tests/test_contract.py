"""The committed documents say what the service does."""

from analytics_service.contract import FOLDER, make_app
from pizzeria_chassis.contract import differences


def test_committed_documents_are_up_to_date() -> None:
    assert differences(FOLDER, make_app()) == [], "run: python -m analytics_service.contract write"

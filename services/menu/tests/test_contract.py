"""The committed documents say what the service does."""

from menu_service.contract import FOLDER, make_app
from pizzeria_chassis.contract import differences


def test_committed_documents_are_up_to_date() -> None:
    assert differences(FOLDER, make_app()) == [], "run: python -m menu_service.contract write"

"""The committed contract is what the code says."""

from kitchen_service.contract import FOLDER, demo_app
from pizzeria_chassis.contract import differences


def test_the_committed_documents_are_up_to_date() -> None:
    stale = differences(FOLDER, demo_app())
    assert stale == [], "run: python -m kitchen_service.contract write"

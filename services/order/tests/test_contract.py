"""What is committed is what runs."""

import subprocess
import sys

import pytest
from order_service import contract
from order_service.adapters import sandbox_provider
from order_service.adapters.tables import metadata
from order_service.domain import saga, states
from pizzeria_chassis.database import Database
from pizzeria_chassis.migrations import differences, migrate

from services.order.tests.harness import ON_BOTH_DATABASES

README = contract.FOLDER / "README.md"


def test_the_committed_contract_is_that_of_the_code() -> None:
    from pizzeria_chassis.contract import differences as stale

    assert stale(contract.FOLDER, contract.demo_app()) == [], "python -m order_service.contract write"


def test_the_readme_draws_the_transition_table() -> None:
    assert states.diagram() in README.read_text(encoding="utf-8")


@pytest.mark.proves("P4")
def test_the_readme_shows_the_saga() -> None:
    text = README.read_text(encoding="utf-8")
    assert saga.diagram() in text, saga.diagram()
    assert saga.markdown() in text, saga.markdown()


@ON_BOTH_DATABASES
async def test_the_migrations_make_the_tables(database_url: str) -> None:
    assert sandbox_provider.movements.metadata is metadata
    database = Database(database_url, source="/pizzeria/order")
    try:
        await migrate(database, "order_service")
        assert await differences(database, [metadata]) == []
    finally:
        await database.aclose()


@pytest.mark.proves("P15")
def test_outside_the_demo_the_service_does_not_start_without_tokens() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "order_service"],
        env={"ENVIRONMENT": "production", "PORT": "0", "DATABASE_URL": "sqlite:///nowhere.db"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 2
    assert "MANAGER_TOKEN" in ended.stderr
    assert "Traceback" not in ended.stderr

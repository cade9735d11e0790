"""Alembic's way in; the service runs it at its start."""

from pizzeria_chassis.migrations import run_migrations

run_migrations()

"""`python -m pizzeria`."""

from pizzeria.cli import app

app()

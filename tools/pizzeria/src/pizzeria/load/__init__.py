"""`pizzeria load`: an open-model load on the running pizzeria, and what became of it."""

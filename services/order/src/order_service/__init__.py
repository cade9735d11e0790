"""The order service of the pizzeria."""

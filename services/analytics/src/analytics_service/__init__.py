"""The analytics service of the pizzeria."""

"""The menu service of the pizzeria."""

"""The kitchen service of the pizzeria."""

"""What every service of the pizzeria stands on."""

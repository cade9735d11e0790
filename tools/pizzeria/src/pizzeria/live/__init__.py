"""What happens in the pizzeria while one looks: orders from the event feeds, health, the kitchen."""

"""How others reach the kitchen: HTTP and events."""

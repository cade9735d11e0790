"""The ways in: HTTP and the kitchen's events."""

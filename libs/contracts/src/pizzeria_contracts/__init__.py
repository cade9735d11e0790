"""Event payloads, streams, channels and problem types of the pizzeria."""

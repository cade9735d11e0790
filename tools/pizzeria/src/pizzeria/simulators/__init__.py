"""Simulated cooks, drivers and customers. They speak HTTP only and survive every fault of the services."""

"""Redis patterns: reliable streams, priority queues with leases, locks, caches."""

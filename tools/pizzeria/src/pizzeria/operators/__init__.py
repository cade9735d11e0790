"""What operators see and do: dead letters, lag, tasks, breakers and faults of the running services."""

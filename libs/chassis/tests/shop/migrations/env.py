from pizzeria_chassis.migrations import run_migrations

run_migrations()

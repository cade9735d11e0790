"""The smallest service: one table, its own events, one consumed stream. For tests of the chassis."""

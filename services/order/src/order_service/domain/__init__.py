"""What an order is and what may happen to it. No I/O, no clock of its own, no framework."""

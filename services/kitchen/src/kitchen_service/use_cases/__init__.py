"""What the kitchen does: one file per command. They know the domain and ports, no database and no Redis."""

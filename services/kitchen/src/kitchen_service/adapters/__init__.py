"""How the kitchen reaches its database, its queue in Redis and its live pages."""

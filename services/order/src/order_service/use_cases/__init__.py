"""What the service does for its guests and with the kitchen's news, one use case per file."""

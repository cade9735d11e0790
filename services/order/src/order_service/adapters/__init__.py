"""The world outside: SQL, the menu service, the payment provider, live hints."""

"""Steps of the menu's database, run at start."""

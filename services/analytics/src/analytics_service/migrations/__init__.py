"""Steps of the archive's database, run at start."""

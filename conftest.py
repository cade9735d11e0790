# Only the top conftest may load a plugin; it brings Redis fixtures to every package's tests.
pytest_plugins = ["rediscore.testing.plugin"]

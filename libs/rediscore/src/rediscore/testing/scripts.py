"""Scripts for tests that lose replies."""

from importlib import resources

from rediscore.client import RedisConnections
from rediscore.scripts import Script


async def load_scripts(connections: RedisConnections, package: str) -> None:
    """Let the server know every script in the folder `lua` of a package: then a lost reply is the reply to
    an effect, not to a hash that the server had not heard of."""
    for file in resources.files(package).joinpath("lua").iterdir():
        if file.name.endswith(".lua") and file.name != "lib.lua":
            script = Script.load(package, f"lua/{file.name}")
            await connections.execute("SCRIPT", "LOAD", script.source)

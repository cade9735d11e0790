"""To be imported by a nursery: all that a service imports, or reads, only when it starts."""

from importlib import import_module

from pizzeria_chassis.tls import trusted

_LATE = (
    "alembic.command",
    "alembic.config",
    "alembic.context",
    "anyio._backends._asyncio",
    "httpcore",
    "rediscore.prometheus",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)

for name in _LATE:
    import_module(name)
trusted()

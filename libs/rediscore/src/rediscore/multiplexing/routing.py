"""Which commands may share a connection, which go to the pool, and which are refused."""

from rediscore.multiplexing.errors import NotMultiplexedError
from rediscore.scripts import Argument

# They wait on the server, or end without a reply: nobody may stand behind them.
_TO_POOL = frozenset(
    {"BLPOP", "BRPOP", "BLMOVE", "BRPOPLPUSH", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "SHUTDOWN"}
)
_MAY_BLOCK = frozenset({"XREAD", "XREADGROUP"})

# What they set, or wait for, belongs to a connection, not to a command.
_REFUSED = frozenset(
    {
        "MULTI", "EXEC", "DISCARD", "WATCH", "UNWATCH",
        "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE", "SUNSUBSCRIBE",
        "AUTH", "HELLO", "SELECT", "RESET", "QUIT", "MONITOR", "SYNC", "PSYNC", "REPLCONF",
        "ASKING", "READONLY", "READWRITE", "WAIT", "WAITAOF",
    }
)  # fmt: skip
_REFUSED_CLIENT = frozenset(
    {"REPLY", "TRACKING", "CACHING", "NO-EVICT", "NO-TOUCH", "SETNAME", "SETINFO", "CAPA", "IMPORT-SOURCE"}
)
_REFUSED_SCRIPT = frozenset({"DEBUG"})

SHARED: set[Argument] = set()
"""Names as they were given that always share the connection: what the hot path asks."""

_MOST_NAMES = 1000


def shares(command: tuple[Argument, ...]) -> bool:
    """Whether it travels on the shared connection; else on one of the pool's own.

    Raises: NotMultiplexedError for what must not be sent by `execute` at all.
    """
    name = _word(command[0])
    if name in _REFUSED:
        raise _refusal(name)
    if name in ("CLIENT", "SCRIPT"):
        second = _word(command[1]) if len(command) > 1 else ""
        if second in (_REFUSED_CLIENT if name == "CLIENT" else _REFUSED_SCRIPT):
            raise _refusal(f"{name} {second}")
        return True
    if name in _MAY_BLOCK:
        return not _blocks(command)
    if name in _TO_POOL:
        return False
    if len(SHARED) < _MOST_NAMES:
        SHARED.add(command[0])
    return True


def split_name(command: tuple[Argument, ...]) -> tuple[Argument, ...]:
    """The command with its name in words of their own: redis-py takes `"CONFIG GET"` as two."""
    name = command[0]
    if isinstance(name, str) and " " in name:
        return (*name.split(), *command[1:])
    return command


def _blocks(command: tuple[Argument, ...]) -> bool:
    for argument in command[1:]:
        option = _word(argument)
        if option == "STREAMS":
            break
        if option == "BLOCK":
            return True
    return False


def _word(argument: Argument) -> str:
    return (argument.decode("latin-1") if isinstance(argument, bytes) else str(argument)).upper()


def _refusal(name: str) -> NotMultiplexedError:
    return NotMultiplexedError(
        f"{name} acts on a connection that many callers share: use connections.commands.pipeline(), "
        "connections.blocking(...) or a connection of your own."
    )

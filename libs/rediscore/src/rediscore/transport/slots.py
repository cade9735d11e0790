"""Which slot of a cluster a command belongs to: where its first key stands."""

from redis.crc import key_slot

from rediscore.scripts import Argument

_KEYLESS = frozenset(
    {
        "PING", "ECHO", "TIME", "INFO", "ROLE", "HELLO", "AUTH", "SELECT", "RESET", "QUIT", "COMMAND",
        "CLIENT", "CONFIG", "CLUSTER", "ACL", "MODULE", "LATENCY", "SLOWLOG", "MONITOR", "SHUTDOWN", "LOLWUT",
        "SCRIPT", "FUNCTION", "PUBLISH", "PUBSUB", "SUBSCRIBE", "PSUBSCRIBE", "UNSUBSCRIBE", "PUNSUBSCRIBE",
        "KEYS", "RANDOMKEY", "DBSIZE", "FLUSHALL", "FLUSHDB", "SWAPDB", "REPLICAOF", "FAILOVER",
        "SAVE", "BGSAVE", "LASTSAVE", "BGREWRITEAOF", "MULTI", "EXEC", "DISCARD", "UNWATCH", "WAIT",
        "WAITAOF", "READONLY", "READWRITE", "ASKING",
    }
)  # fmt: skip
_AFTER_SUBCOMMAND = frozenset({"OBJECT", "MEMORY", "XINFO", "XGROUP", "DEBUG", "BITOP"})
_COUNTED = {
    # Position of the number of keys; the first key follows it.
    **dict.fromkeys(("EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO", "BLMPOP", "BZMPOP"), 2),
    **dict.fromkeys(("LMPOP", "ZMPOP", "ZUNION", "ZINTER", "ZDIFF", "SINTERCARD", "ZINTERCARD"), 1),
}


def words(command: tuple[Argument, ...]) -> tuple[Argument, ...]:
    """The command with its name in words of their own: redis-py writes `"XINFO STREAM"` as one."""
    name = command[0]
    if isinstance(name, str) and " " in name:
        return (*name.split(), *command[1:])
    return command


def slot_of(command: tuple[Argument, ...]) -> int | None:
    """Slot of the first key; None when any primary will do. Whether all keys share it, the server checks."""
    command = words(command)
    if command[0] in ("SCAN", b"SCAN"):
        raise ValueError("SCAN looks into one node of a cluster only: use RedisConnections.scan_keys.")
    key = _first_key(command)
    if key is None:
        return None
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


def _first_key(command: tuple[Argument, ...]) -> Argument | None:
    name = command[0].decode() if isinstance(command[0], bytes) else str(command[0])
    name = name.upper()
    if name in _KEYLESS:
        return None
    if (counted := _COUNTED.get(name)) is not None:
        position = counted + 1 if len(command) > counted and int(command[counted]) > 0 else len(command)
    elif name in ("XREAD", "XREADGROUP"):
        position = _after_streams(command)
    elif name in _AFTER_SUBCOMMAND:
        position = 2
    else:
        position = 1
    return command[position] if position < len(command) else None


def _after_streams(command: tuple[Argument, ...]) -> int:
    for position, word in enumerate(command):
        if isinstance(word, str | bytes) and word.upper() in ("STREAMS", b"STREAMS"):
            return position + 1
    return len(command)

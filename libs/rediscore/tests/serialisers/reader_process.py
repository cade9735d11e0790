"""Reads what another process has written and prints it: python reader_process.py URL PREFIX KEY"""

import sys
from typing import Any

import redis
from rediscore.serialisers import Json, Msgpack, Pydantic, Serialiser, SignedPickle

url, prefix, key = sys.argv[1:]
ways: list[Serialiser[Any]] = [
    Json(),
    Msgpack(),
    Pydantic(dict),
    SignedPickle([bytes.fromhex(key)], purpose="t"),
]
with redis.Redis.from_url(url) as client:
    for number, serialiser in enumerate(ways):
        data = client.get(f"{prefix}:{number}")
        assert isinstance(data, bytes)
        print(serialiser.loads(data))  # noqa: T201

"""The primary that the sentinels name, wherever it is after a failover."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rediscore.settings import RedisSettings
from rediscore.transport.connection import Address, Endpoint, ServerConnection

LOOK_AGAIN = 1.0
"""Seconds after which the sentinels are asked again while connections are in use."""


class PrimaryBySentinel(Endpoint):
    """Asks the sentinels for each new connection, and believes them only when the server agrees (ROLE).

    After a failover by hand the old primary takes writes for some eight seconds more, and loses them. So
    the sentinels are also asked, aside, once a second while connections are used; connections to the
    server of before then count as moved. One round trip more per connection.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings, settings.sentinels[0])
        self._order: list[Address] = list(settings.sentinels)
        self._asking = asyncio.Lock()
        self._answers = 0
        self._asked = 0.0
        self._look: asyncio.Task[None] | None = None

    async def locate(self) -> Address:
        answers = self._answers
        async with self._asking:
            # Many connections break at once: what one is told while others wait holds for all.
            if self._answers == answers:
                self.address = await self._ask()
                self._answers += 1
                self._asked = time.monotonic()
            return self.address

    async def check(self, connection: ServerConnection) -> None:
        await connection.send_command("ROLE", check_health=False)
        role = await connection.read_response()
        if role[0] != b"master":
            raise redis.exceptions.ConnectionError("The sentinels named a server that is no primary (yet).")

    def moved(self, connection: ServerConnection) -> bool:
        if time.monotonic() > self._asked + LOOK_AGAIN and (self._look is None or self._look.done()):
            self._look = asyncio.create_task(self._look_again(), name="rediscore sentinels")
        return (connection.host, connection.port) != self.address

    async def aclose(self) -> None:
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait({self._look})

    async def _look_again(self) -> None:
        # Sentinels that do not answer are no reason to leave a server that does.
        with contextlib.suppress(redis.exceptions.ConnectionError):
            await self.locate()
        self._asked = time.monotonic()

    async def _ask(self) -> Address:
        faults = []
        for sentinel in list(self._order):
            try:
                answer = await self._ask_one(sentinel)
            except (redis.exceptions.RedisError, TimeoutError, OSError) as error:
                faults.append(f"{sentinel[0]}:{sentinel[1]}: {error!r}")
                continue
            if answer is None:
                faults.append(f"{sentinel[0]}:{sentinel[1]}: knows no {self.settings.sentinel_master}")
                continue
            # The one that answers is asked first from now on.
            self._order.remove(sentinel)
            self._order.insert(0, sentinel)
            return answer[0].decode(), int(answer[1])
        raise redis.exceptions.ConnectionError(f"No sentinel names the primary ({'; '.join(faults)}).")

    async def _ask_one(self, sentinel: Address) -> Sequence[bytes] | None:
        settings = self.settings
        # A third of what a connection may take: one that hangs leaves time to ask another.
        patience = settings.connect_timeout / 3
        client = Redis(
            host=sentinel[0],
            port=sentinel[1],
            username=settings.sentinel_username,
            password=settings.sentinel_password.get_secret_value() if settings.sentinel_password else None,
            socket_connect_timeout=patience,
            socket_timeout=patience,
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
            protocol=2,
            ssl=settings.tls,
            ssl_ca_certs=str(settings.tls_ca_file) if settings.tls_ca_file else None,
            ssl_certfile=str(settings.tls_cert_file) if settings.tls_cert_file else None,
            ssl_keyfile=str(settings.tls_key_file) if settings.tls_key_file else None,
        )
        try:
            async with asyncio.timeout(patience):
                found: Sequence[bytes] | None = await client.execute_command(  # type: ignore[no-untyped-call]
                    "SENTINEL", "GET-MASTER-ADDR-BY-NAME", settings.sentinel_master
                )
                return found
        finally:
            await client.aclose()

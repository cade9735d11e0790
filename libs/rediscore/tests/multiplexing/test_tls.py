"""TLS: redis-py checks the certificate, then the same connection is shared."""

import asyncio
import contextlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
import redis.exceptions
from rediscore.client import RedisConnections
from rediscore.settings import RedisSettings

pytestmark = [
    pytest.mark.proves("R1"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command for certificates"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    return certificate, key


async def test_a_shared_connection_over_tls(
    redis_url: str, key_prefix: str, certificate: tuple[Path, Path]
) -> None:
    plain = RedisSettings.from_url(redis_url)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    writers: list[asyncio.StreamWriter] = []

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(plain.host, plain.port)
        writers.extend((writer, server_writer))
        await asyncio.gather(pump(reader, server_writer), pump(server_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    url = redis_url.replace("redis://", "rediss://").replace(f":{plain.port}/", f":{port}/")
    trusting = RedisConnections(
        RedisSettings.from_url(url, transport="multiplexed", tls_ca_file=certificate[0])
    )
    doubting = RedisConnections(RedisSettings.from_url(url, transport="multiplexed"))
    try:
        values = [f"{n}" + "x" * 20_000 for n in range(100)]
        answers = await asyncio.gather(*(trusting.execute("ECHO", value) for value in values))
        assert answers == [value.encode() for value in values]
        for writer in writers:
            writer.transport.abort()
        assert await trusting.execute("ECHO", "again", idempotent=True) == b"again"
        with pytest.raises(redis.exceptions.ConnectionError, match=r"(?i)certificate"):
            await doubting.execute("PING")
    finally:
        await trusting.aclose()
        await doubting.aclose()
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()

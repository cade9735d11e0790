"""One HTTP GET without an HTTP client: asked every few milliseconds while a service starts."""

import asyncio
from urllib.parse import urlsplit


async def answers(url: str, *, timeout: float = 2.0) -> bool:
    """Whether `url` answers 200 within `timeout` seconds."""
    address = urlsplit(url)
    request = f"GET {address.path or '/'} HTTP/1.1\r\nHost: {address.netloc}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            try:
                writer.write(request.encode())
                status_line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return status_line.split(b" ")[1:2] == [b"200"]

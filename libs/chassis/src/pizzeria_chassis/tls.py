"""Whom the HTTP clients of this process trust."""

import ssl
from functools import cache

import httpx

__all__ = ["trusted"]


@cache
def trusted() -> ssl.SSLContext:
    """Return the certificates that httpx trusts by default, read once per process.

    For ``httpx.AsyncClient(verify=…)``: without it every client reads and parses all of them again, which
    blocks the event loop for tens of milliseconds.
    """
    return httpx.create_ssl_context()

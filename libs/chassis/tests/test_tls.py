"""Certificates are read once per process."""

import ssl

import httpx
from pizzeria_chassis.tls import trusted


def test_one_context_that_checks_certificates_for_all_clients() -> None:
    context = trusted()
    assert context is trusted()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats() == httpx.create_ssl_context().cert_store_stats()

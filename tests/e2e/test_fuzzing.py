"""Whatever the OpenAPI documents allow, and what they do not, is sent to all four services: no answer is a
5xx, and each is as its document says."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import Premises, lend
from tests.e2e.harness import Pizzeria
from tests.e2e.harness_backends import Processes

pytestmark = [pytest.mark.soak, pytest.mark.xdist_group("e2e-fuzz"), pytest.mark.timeout(900)]

SECONDS = float(os.environ.get("SOAK_SECONDS", "120"))
EXAMPLES = max(5, int(SECONDS / 4))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
# They end the session that all the other calls need; their answers are tested by hand.
ENDING = ("DELETE /me", "DELETE /sessions", "DELETE /sessions/current")


@pytest_asyncio.fixture(scope="module")
async def fuzz_premises(folders: Callable[[str], Path]) -> AsyncIterator[Premises]:
    premises = Premises(lambda: Processes("fuzz", folders("fuzz")))
    yield premises
    await premises.close()


@pytest_asyncio.fixture
async def fuzzed(fuzz_premises: Premises, request: pytest.FixtureRequest) -> AsyncIterator[Pizzeria]:
    """A pizzeria of its own: what is sent here is nobody's order."""
    async for shop in lend(fuzz_premises, request):
        yield shop


@pytest.mark.proves("P15")
@pytest.mark.parametrize(
    ("service", "role"),
    [
        ("order", "guest"),
        ("order", "manager"),
        ("kitchen", "manager"),
        ("menu", "manager"),
        ("analytics", "manager"),
    ],
)
async def test_no_server_error_and_no_answer_that_the_document_does_not_know(
    fuzzed: Pizzeria, service: str, role: str
) -> None:
    token = (await fuzzed.guest()).token if role == "guest" else fuzzed.back_end.tokens[role]
    document = f"{fuzzed.back_end.urls[service][0]}/openapi.json"
    # Streams never end, and a claim may wait for half a minute.
    options = ["--exclude-path-regex", "/live$", "--request-timeout", "40", "--max-examples", str(EXAMPLES)]
    options += [part for name in ENDING for part in ("--exclude-name", name)]
    options += ["--checks", ",".join(CHECKS), "--no-color", "--suppress-health-check", "all"]
    process = await asyncio.create_subprocess_exec(
        *(Path(sys.executable).parent / "schemathesis", "run", document),
        *("--header", f"Authorization: Bearer {token}"),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert b"generated" in output, output.decode()  # it has sent something

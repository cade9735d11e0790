"""The running pizzeria, for the commands that speak to it."""

import weakref
from collections.abc import Mapping
from typing import Any

import httpx

from pizzeria.errors import CallFailedError, NotRunningError, UnavailableError
from pizzeria.home import Home
from pizzeria.state import State
from pizzeria.supervisor.run_lock import is_running


def running_state(home: Home) -> State:
    """Addresses and tokens of what runs. Raises: NotRunningError that says what to do."""
    running = is_running(home)
    try:
        state = State.read(home.state_file)
    except (OSError, ValueError, KeyError, TypeError):
        if running:
            raise NotRunningError("The pizzeria is still starting: try again in a moment.") from None
        raise NotRunningError("The pizzeria is not running. Start it with `make demo`.") from None
    if not running:
        raise NotRunningError(
            "The pizzeria was killed. `pizzeria down` clears up what it left, `make demo` starts it again."
        )
    return state


class Service:
    """One service, with the token of one role or guest, for calls that a person waits for."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=10)
        # A command makes a few of these and forgets them.
        weakref.finalize(self, self._client.close)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """The body of the answer.

        Raises: CallFailedError with the problem's sentence, UnavailableError when there is no answer now.
        """
        try:
            reply = self._client.request(method, path, json=body, headers=headers)
        except httpx.TransportError as error:
            raise UnavailableError(f"{self.url} does not answer: {type(error).__name__}.") from error
        try:
            content: dict[str, Any] = reply.json()
        except ValueError:
            content = {}
        if reply.status_code in (502, 503, 504):
            raise UnavailableError(describe_problem(reply.status_code, content))
        if reply.is_error:
            raise CallFailedError(describe_problem(reply.status_code, content))
        return content


def describe_problem(status: int, problem: Mapping[str, Any]) -> str:
    """A problem details body as a sentence, with the fields that are wrong."""
    sentence = f"{problem.get('title', 'refused')} ({status})"
    if detail := problem.get("detail"):
        sentence += f": {detail}"
    for error in problem.get("errors", []):
        sentence += f"\n  {error.get('pointer')}: {error.get('detail')}"
    return sentence

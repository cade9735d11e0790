"""Forks order services from one process that has imported everything: starting one costs no imports.

Lines on stdin, answers on stdout, both JSON: {"start": environment} → {"pid": n};
An environment with LOG_TO names the file that the service writes to, which otherwise writes to nowhere.
{"wait": pid} → {"code": exit code as subprocess gives it, or null while it runs}. Ends with its stdin.
"""

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Final, NoReturn

from pizzeria_chassis.tls import trusted

from services.order.tests.faults import dying_service

# What a service imports only when it starts.
LATE: Final = (
    "alembic.command",
    "alembic.config",
    "alembic.context",
    "anyio._backends._asyncio",
    "httpcore",
    "rediscore.prometheus",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto",
    "uvloop",
)


def main() -> None:
    for name in LATE:
        import_module(name)
    trusted()
    for line in sys.stdin:
        asked = json.loads(line)
        if "start" in asked:
            answer: dict[str, int | None] = {"pid": os.fork() or _live(asked["start"])}
        else:
            pid, status = os.waitpid(asked["wait"], os.WNOHANG)
            answer = {"code": os.waitstatus_to_exitcode(status) if pid else None}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _live(environment: dict[str, str]) -> NoReturn:
    code = 0
    try:
        os.environ.clear()
        os.environ.update(environment)
        silence = os.open(os.devnull, os.O_RDWR)
        os.dup2(silence, 0)
        os.dup2(silence, 1)
        if log := os.environ.get("LOG_TO"):
            file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, 1)
            os.dup2(file, 2)
        dying_service.main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001  the child ends here whatever happens
        traceback.print_exc()
        code = 1
    os._exit(code)


if __name__ == "__main__":
    main()

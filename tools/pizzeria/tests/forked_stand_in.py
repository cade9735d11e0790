"""What the fork server runs in tests: says who it is, then obeys MODE."""

import json
import os
import sys
import threading
import time

if __name__ == "__main__":
    print(  # noqa: T201
        json.dumps(
            {
                "argv": sys.argv[1:],
                "environment": dict(os.environ),
                "session": os.getsid(0),
                "threads": threading.active_count(),
                "preloaded": "colorsys" in sys.modules,
                "stdin": os.read(0, 1).decode(),
            }
        ),
        flush=True,
    )
    match os.environ["MODE"]:
        case "exit":
            sys.exit(7)
        case "raise":
            raise RuntimeError("as told")
        case _:
            time.sleep(60)

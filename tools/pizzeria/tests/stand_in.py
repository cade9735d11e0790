"""A service as the supervisor sees one: reads PORT, answers /health/ready, ends on SIGTERM.

CRASH=1 ends it at once; DEAF=1 ignores SIGTERM; SLOW=<seconds> delays readiness.
"""

import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

READY_AT = time.monotonic() + float(os.environ.get("SLOW", "0"))


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if time.monotonic() >= READY_AT else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    if os.environ.get("CRASH"):
        sys.exit("the stand-in crashes as told")
    signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("DEAF") else lambda *_: sys.exit(0))
    if "PORT" in os.environ:
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
    while True:
        signal.pause()

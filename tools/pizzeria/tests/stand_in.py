"""A service as the supervisor sees one: reads PORT, answers, ends on SIGTERM.

CRASH=1 ends it at once; DEAF=1 ignores SIGTERM; CHATTY=<bytes> writes that much into its log.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200, b'{"status": "ready", "checks": {}}')

    def do_POST(self) -> None:
        self._answer(201, b'{"token": "a-guest"}')

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    if os.environ.get("CRASH"):
        sys.exit("the stand-in crashes as told")
    sys.stdout.write("x" * int(os.environ.get("CHATTY", "0")))
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if os.environ.get("DEAF") == "1" else lambda *_: sys.exit(0))
    if "PORT" in os.environ:
        HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
    while True:
        signal.pause()

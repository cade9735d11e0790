"""HEALTHCHECK of our images: exit code 0 when /health/ready answers 200."""

import http.client
import os
import sys

connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=4)
connection.request("GET", "/health/ready")
sys.exit(connection.getresponse().status != 200)

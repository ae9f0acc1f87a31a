"""A server that asks for a key everywhere but at /health: of its environment, or of the file that it is given."""

import http.server
import os
import sys

key = open(sys.argv[2]).read().strip() if len(sys.argv) > 2 else os.environ.get("KEY")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/health" or not key or self.headers["Authorization"] == "Bearer " + key
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, *args):
        pass


http.server.HTTPServer(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()

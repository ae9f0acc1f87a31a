"""What the servers of the tests share: HTTP, a key, and a health path that answers 503 until the model is loaded."""

import hmac
import http.server
import json
import os
import signal
import sys
import threading
import traceback


class Refusal(Exception):
    """An answer that is none: its status, and what was wrong."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def serve(host, port, key, load, routes):
    """Answers on an address until SIGTERM, then exits with 0.

    `load` makes the model, meanwhile `/health` answers 503. `routes` maps a path that is asked by POST to a function of the
    model, the body and its content type; what it returns is sent as JSON, a text as it is. All but `/health` needs the key.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    loaded = {}
    threading.Thread(target=fill, args=(loaded, load), daemon=True).start()
    with http.server.ThreadingHTTPServer((host, port), handler(key, loaded, routes)) as server:
        print(f"listening on {host}:{port}", flush=True)
        server.serve_forever()


def fill(loaded, load):
    try:
        loaded["model"] = load()
    except BaseException:
        traceback.print_exc()
        # From another thread than the main one nothing else ends the process.
        os._exit(1)
    print("the model is loaded", flush=True)


def handler(key, loaded, routes):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if self.path == "/health":
                self.say(200 if loaded else 503, {"status": "ok" if loaded else "loading"})
            else:
                self.answer(lambda: self.refuse_strangers() or self.refuse_path())

        def do_POST(self):
            # Read in any case: the connection is used again.
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.answer(lambda: self.refuse_strangers() or self.route(body))

        def refuse_strangers(self):
            given = self.headers.get("Authorization", "").removeprefix("Bearer ")
            if key and not hmac.compare_digest(given.encode(), key.encode()):
                raise Refusal(401, "the key is missing or wrong")

        def refuse_path(self):
            raise Refusal(404, "there is nothing here")

        def route(self, body):
            if self.path not in routes:
                self.refuse_path()
            if not loaded:
                raise Refusal(503, "the model is being loaded")
            return routes[self.path](loaded["model"], body, self.headers.get("Content-Type", ""))

        def answer(self, make):
            try:
                self.say(200, make())
            except Refusal as refusal:
                self.say(refusal.status, {"error": {"message": str(refusal), "type": "error", "code": refusal.status}})

        def say(self, status, what):
            kind = "text/plain; charset=utf-8" if isinstance(what, str) else "application/json"
            data = what.encode() if isinstance(what, str) else json.dumps(what).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def json_body(body):
    """The object in a body of JSON."""
    try:
        asked = json.loads(body)
    except ValueError as error:
        raise Refusal(400, f"the body is no JSON: {error}") from error
    if not isinstance(asked, dict):
        raise Refusal(400, "the body is no object")
    return asked

"""A hub of models for the stories on the cluster: as much of Hugging Face's API as is used.

usage: hub.py ADDRESS DIRECTORY
Writes its two ports to DIRECTORY/ports and each request to DIRECTORY/asked. Files in LFS come from the second port, as from another
host. A download of `slow.bin` stops in the middle until DIRECTORY/go exists.
"""

import hashlib
import http.server
import json
import pathlib
import sys
import threading
import time
import urllib.parse

ADDRESS, DIRECTORY = sys.argv[1], pathlib.Path(sys.argv[2])
COMMIT = "c0ffee" * 6 + "c0ff"
LARGE = bytes(range(256)) * 8192
MODELS = {
    "org/tiny": {"config.json": b"{}\n", "sub dir/words.txt": b"words\n", "model.safetensors": LARGE},
    "org/slow": {"config.json": b"{}\n", "slow.bin": LARGE},
}
TOKEN = "hf_OfAliceAlone"
lock = threading.Lock()


def is_large(content):
    return len(content) > 100000


def listed(path, content):
    about = {"rfilename": path, "size": len(content)}
    about["blobId"] = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    if is_large(content):
        about["lfs"] = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return about


class Hub(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.send(body)

    def send(self, body):
        if self.path.endswith("slow.bin") and not (DIRECTORY / "go").exists():
            half = len(body) // 2
            self.wfile.write(body[:half])
            while not (DIRECTORY / "go").exists():
                time.sleep(0.02)
            body = body[half:]
        self.wfile.write(body)

    def do_GET(self):
        authorization = self.headers.get("Authorization", "none")
        with lock, open(DIRECTORY / "asked", "a") as asked:
            print(self.client_address[0], self.server.server_port, authorization, self.command, self.path, file=asked)
        path = urllib.parse.unquote(self.path.split("?")[0])
        name = "/".join(path.removeprefix("/api/models").split("/")[1:3])
        files = MODELS.get(name)
        if files is None:
            return self.answer(404, X_Error_Code="RepoNotFound")
        if path.startswith("/api/"):
            siblings = [listed(*file) for file in files.items()]
            return self.answer(200, json.dumps({"id": name, "sha": COMMIT, "siblings": siblings}).encode())
        file = path.split(f"/resolve/{COMMIT}/")[1]
        content = files[file]
        if is_large(content) and self.server is servers[0]:
            return self.answer(302, Location=f"http://{ADDRESS}:{servers[1].server_port}{self.path}")
        if self.server is servers[0] and name == "org/tiny" and authorization != f"Bearer {TOKEN}":
            return self.answer(401, X_Error_Code="GatedRepo", X_Error_Message="Access is restricted.")
        begin = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-")
        if begin == "0":
            return self.answer(200, content)
        rest = content[int(begin):]
        self.answer(206, rest, Content_Range=f"bytes {begin}-{len(content) - 1}/{len(content)}")

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


servers = [http.server.ThreadingHTTPServer((ADDRESS, 0), Hub) for _ in range(2)]
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
(DIRECTORY / "ports.new").write_text(" ".join(str(server.server_port) for server in servers))
(DIRECTORY / "ports.new").rename(DIRECTORY / "ports")
servers[0].serve_forever()

"""A web server with faults, as a program of its own: python server.py FOLDER [CERTIFICATE KEY]. Prints its port."""

from __future__ import annotations

import ssl
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

FOLDER = Path(sys.argv[1])
DATA = (FOLDER / "data").read_bytes()
SEEN: dict[str, int] = {}


class Handler(BaseHTTPRequestHandler):
    """What a path does is its first part; `?` and the rest tell requests of one test from those of another."""

    def do_GET(self) -> None:
        SEEN[self.path] = SEEN.get(self.path, 0) + 1
        kind, first = self.path.split("/")[1], SEEN[self.path] == 1
        wanted = self.headers.get("Range", "")
        with (FOLDER / "requests").open("a") as log:
            log.write(f"{kind} {wanted}\n")
        if kind == "missing" or (kind == "busy" and first):
            self.send_error(404 if kind == "missing" else 503)
            return
        start = int(wanted[len("bytes=") : -1]) if wanted and kind != "norange" else 0
        if start >= len(DATA):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
        self.send_header("Content-Length", str(len(DATA) - start))
        self.end_headers()
        cut = kind == "always-cut" or (kind in ("cut", "norange") and first)
        self.wfile.write(
            DATA[start : start + (len(DATA) - start) // 2] if cut or kind == "stall" else DATA[start:]
        )
        if kind == "stall":
            self.wfile.flush()
            time.sleep(600)

    def log_message(self, *_: object) -> None:
        pass


class Server(HTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that goes away is what is being tested."""


server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 2:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()

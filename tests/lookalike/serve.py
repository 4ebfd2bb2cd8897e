"""Serves the look-alike repositories on loopback: python -m tests.lookalike.serve DIR [PORT].

It answers for the hosts that DIR has folders of, by the name that the request is for: /etc/hosts lets them be on loopback.
Without such a name it is repo.radeon.com. On port 443 it speaks TLS. It can also be bad on purpose: see Fault.
"""

from __future__ import annotations

import argparse
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from tests.lookalike.build import AMD, BROKEN

HTTPS = 443


@dataclass
class Fault:
    """What goes wrong with paths that match, so many times (-1: always).

    `kind`: missing (404), cut (half of it, then the connection is closed), stall (half of it, then silence until
    `go_on` is set), old (the bytes in `instead`).
    """

    path: str
    kind: str
    times: int = -1
    instead: bytes = b""
    go_on: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)

    def takes(self, path: str) -> bool:
        """Whether this request goes wrong; it is counted."""
        if not self.times or not re.search(self.path, path):
            return False
        self.times -= self.times > 0
        self.began.set()
        return True


class Server(ThreadingHTTPServer):
    """Keeps a list of what was asked: (host, path, status)."""

    daemon_threads = True
    # A stalled answer must not hold the end of a test.
    block_on_close = False

    def __init__(self, folder: Path, port: int = 0, address: str = "127.0.0.1") -> None:
        super().__init__((address, port), _Handler)
        if port == HTTPS:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "keys" / "server.crt", folder / "keys" / "server.key")
            # Hands are shaken in the thread of the request, so that a slow one holds nobody else.
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.folder = folder
        self.faults: list[Fault] = []
        self.asked: list[tuple[str, str, int]] = []
        self.broken_driver = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def file_of(self, host: str, path: str) -> Path:
        if self.broken_driver and host == AMD and path.startswith("/amdgpu/"):
            host = BROKEN
        return self.folder / host / path.lstrip("/")

    def release(self) -> None:
        """Ends all faults."""
        for fault in self.faults:
            fault.go_on.set()
        self.faults.clear()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version: ClassVar[str] = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        named = self.headers.get("Host", "").partition(":")[0]
        host = named if (self.server.folder / named).is_dir() and "." in named else AMD
        file = self.server.file_of(host, path)
        fault = next((f for f in self.server.faults if f.takes(path)), None)
        there = ".." not in path and file.is_file()
        if (fault and fault.kind == "missing") or not there:
            self._answer(host, path, 404, b"")
            return
        data = fault.instead if fault and fault.kind == "old" else file.read_bytes()
        self._answer(host, path, 200, data, fault)

    def _answer(self, host: str, path: str, status: int, data: bytes, fault: Fault | None = None) -> None:
        self.server.asked.append((host, path, status))
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            if fault is None or fault.kind not in ("cut", "stall"):
                self.wfile.write(data)
                return
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            if fault.kind == "stall" and fault.go_on.wait(120):
                self.wfile.write(data[len(data) // 2 :])
                return
        self.close_connection = True

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for; apt asks nothing by it

    def log_message(self, *_: object) -> None:
        """Says nothing: `asked` has it."""


@contextmanager
def serving(folder: Path, port: int = 0, address: str = "127.0.0.1") -> Iterator[Server]:
    """A server in a thread of its own."""
    server = Server(folder, port, address)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.release()
        server.shutdown()
        server.server_close()


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lookalike.serve", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("port", type=int, nargs="?", default=0)
    asked = parser.parse_args()
    server = Server(asked.folder, asked.port)
    print(f"--mirror {server.url}", flush=True)
    with suppress(KeyboardInterrupt):
        server.serve_forever()


if __name__ == "__main__":
    main()

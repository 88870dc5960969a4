"""A reverse proxy with faults, and a token server, in front of a real registry."""

import base64
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ENDLESS = 1 << 30


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]


@dataclass
class Fault:
    """For `times` requests that match: answer `status`, or cut the answer after `cut` bytes of body.

    Or hang up after `deaf` bytes of the request's body, answer `delay` seconds late, or a body `altered`.
    """

    matches: Callable[[Seen], bool]
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int = -1
    deaf: int = -1
    delay: float = 0
    altered: Callable[[bytes], bytes] = lambda body: body
    times: int = 1


_NO_FAULT = Fault(lambda seen: False)


@dataclass
class Proxy:
    host: str
    upstream: str
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    token_realm: str = ""
    good_tokens: set[str] = field(default_factory=set)
    issued: list[tuple[str, str, str]] = field(default_factory=list)
    password: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def methods(self) -> list[str]:
        return [each.method for each in self.seen]

    def take(self, seen: Seen) -> Fault | None:
        with self.lock:
            self.seen.append(seen)
            for fault in self.faults:
                if fault.times and fault.matches(seen):
                    fault.times -= 1
                    return fault
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        proxy = self.server.proxy
        if self.path.startswith("/token"):
            return self.answer_token(proxy, self.read_body())
        seen = Seen(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        fault = proxy.take(seen)
        if fault and fault.deaf >= 0:
            self.rfile.read(min(fault.deaf, int(self.headers.get("Content-Length", 0))))
            self.close_connection = True
            return None
        body = self.read_body()
        if fault:
            time.sleep(fault.delay)
        if fault and fault.status:
            return self.answer(fault.status, fault.headers, fault.body)
        if proxy.token_realm and seen.headers.get("authorization", "")[7:] not in proxy.good_tokens:
            challenge = f'Bearer realm="{proxy.token_realm}",service="world",scope="repository:x:pull"'
            return self.answer(401, {"WWW-Authenticate": challenge}, b'{"errors":[{"code":"UNAUTHORIZED"}]}')
        return self.forward(proxy, body, fault or _NO_FAULT)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815

    def read_body(self) -> bytes:
        """The body; an endless one is read and forgotten until its sender gives up."""
        size = int(self.headers.get("Content-Length", 0))
        if size < _ENDLESS:
            return self.rfile.read(size)
        while self.rfile.read(1 << 16):
            pass
        return b""

    def forward(self, proxy: Proxy, body: bytes, fault: Fault) -> None:
        upstream = http.client.HTTPConnection(proxy.upstream)
        headers = {k: v for k, v in self.headers.items() if k.lower() != "accept-encoding"}
        if proxy.token_realm:
            headers.pop("Authorization", None)
        upstream.request(self.command, self.path, body=body, headers=headers)
        response = upstream.getresponse()
        data = response.read()
        upstream.close()
        hop = ("connection", "transfer-encoding")
        kept = {name: value for name, value in response.getheaders() if name.lower() not in hop}
        if fault.cut >= 0:
            self.close_connection = True
            return self.answer(response.status, kept, data[: fault.cut])
        return self.answer(response.status, kept, fault.altered(data))

    def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_token(self, proxy: Proxy, body: bytes) -> None:
        query = urllib.parse.urlsplit(self.path).query + "&" + body.decode()
        asked = urllib.parse.parse_qs(query)
        authorization = self.headers.get("Authorization", "")
        given = base64.b64decode(authorization[6:]).decode().partition(":")[2]
        secret = asked.get("refresh_token", [given])[0]
        if secret != proxy.password:
            return self.answer(401, {}, b'{"errors":[{"code":"UNAUTHORIZED","message":"bad password"}]}')
        with proxy.lock:
            token = f"token-{len(proxy.issued)}"
            proxy.issued.append((self.command, " ".join(asked["scope"]), token))
            proxy.good_tokens.add(token)
        return self.answer(200, {}, json.dumps({"access_token": token, "expires_in": 300}).encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: Proxy

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def proxy(upstream: str, address: str = "127.0.0.1") -> Iterator[Proxy]:
    server = _Server((address, 0), _Handler)
    server.proxy = Proxy(f"{address}:{server.server_port}", upstream)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""Hear of pushes: an HTTP endpoint for docker-registry's notifications.

    notifications:
      endpoints: [{name: prebake, url: "http://127.0.0.1:8765/", timeout: 1s, threshold: 5, backoff: 5s}]

https://distribution.github.io/distribution/about/notifications/ : POST of {"events": [{"action": "push",
"target": {"repository": ..., "tag": ...}}]}. A notification is a hint to look at a tag, nothing more: a
forged one costs a HEAD request, one that is lost is made up for by the next poll.
"""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ...errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_BYTES = 1 << 20


def pushed(body: bytes) -> list[tuple[str, str]]:
    """Repository and tag of each push of a tag. Raises ValueError for what is no notification."""
    try:
        events = [event for event in json.loads(body)["events"] if event["action"] == "push"]
        targets = [event["target"] for event in events]
        return [(str(target["repository"]), str(target["tag"])) for target in targets if target.get("tag")]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a notification: {error!r}") from error


@contextmanager
def listening(place: str, hear: Callable[[str, str], None]) -> Iterator[str]:
    """Call `hear(repository, tag)` for each push told to HOST:PORT; yields the URL. Raises SettingsError."""
    host, _, port = place.rpartition(":")

    class Notified(BaseHTTPRequestHandler):
        """One notification."""

        timeout = 10

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            try:
                if not length.isdecimal() or int(length) > _MOST_BYTES:
                    raise ValueError("a length of up to 1 MiB has to be told")
                found = pushed(self.rfile.read(int(length)))
            except ValueError as error:
                self.send_error(400, str(error))
                return
            for repository, tag in found:
                hear(repository, tag)
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """The watch tells what it does."""

    try:
        server = ThreadingHTTPServer((host, int(port)), Notified)
    except (OSError, ValueError, OverflowError) as error:
        facts = {"found": place, "allowed": "HOST:PORT", "reason": error}
        raise SettingsError("cannot listen there", facts=facts, hint="choose a free port") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()

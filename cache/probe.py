"""One HEAD request for the hit path, without a client.

A hit is two HEADs (base and tag) and has 150 ms as a whole process, of which importing urllib3 takes 100 and
http.client, with email and ssl behind it, 40. So a plain-HTTP registry is asked over a socket, an HTTPS one
through http.client, and both know registries without authentication and nothing else: to whatever else
they meet the answer is UNKNOWN, and the caller asks again through `Repository.head`, which can do it all.
"""

from __future__ import annotations

import socket
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import IntegrityError
from .digest import Digest
from .oci import MANIFEST_TYPES
from .reference import base_url

if TYPE_CHECKING:
    from collections.abc import Collection

    from .reference import Reference

_TIMEOUT = 10
_LONGEST_HEAD = 64 << 10
_ACCEPT = ", ".join(MANIFEST_TYPES)


class Unknown(Enum):
    """The probe cannot tell."""

    UNKNOWN = "unknown"


def head_manifest(reference: Reference, insecure: Collection[str] = ()) -> Digest | Unknown | None:
    """The digest at `reference`, None if nothing is there, UNKNOWN if it takes more to find out."""
    scheme, _, host = base_url(reference.registry, insecure).partition("://")
    path = f"/v2/{reference.repository}/manifests/{reference.selector}"
    try:
        status, told = (_over_socket if scheme == "http" else _over_tls)(host, path)
        if status == 404:
            return None
        return Digest.parse(told) if status == 200 and told else Unknown.UNKNOWN
    except (OSError, ValueError, IndexError, IntegrityError):
        return Unknown.UNKNOWN


def _over_tls(host: str, path: str) -> tuple[int, str]:
    from http.client import HTTPException, HTTPSConnection

    connection = HTTPSConnection(host, timeout=_TIMEOUT)
    try:
        connection.request("HEAD", path, headers={"Accept": _ACCEPT})
        response = connection.getresponse()
        return response.status, response.headers.get("Docker-Content-Digest", "")
    except HTTPException as error:
        raise ValueError(str(error)) from error
    finally:
        connection.close()


def _over_socket(host: str, path: str) -> tuple[int, str]:
    """The answer to a HEAD has no body (RFC 9110 section 9.3.2): status line and headers are all of it."""
    name, _, port = host.rpartition(":") if ":" in host.rpartition("]")[2] else (host, "", "80")
    request = f"HEAD {path} HTTP/1.1\r\nHost: {host}\r\nAccept: {_ACCEPT}\r\nConnection: close\r\n\r\n"
    answer = b""
    # in bytes, for which Python does not import its IDNA codec (2 ms)
    where = (name.strip("[]").encode("ascii"), int(port))
    with socket.create_connection(where, timeout=_TIMEOUT) as connection:  # type: ignore[arg-type]
        connection.sendall(request.encode("ascii"))
        while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_HEAD and (data := connection.recv(8192)):
            answer += data
    first, *lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(first.split(" ")[1]), headers.get("docker-content-digest", "")

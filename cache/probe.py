"""One HEAD request for the hit path, through the standard library.

A hit is two HEADs (base and tag), and urllib3 alone costs 100 ms to import where http.client costs 25:
that is most of the 150 ms that a whole process may take. So this file knows a registry without
authentication and nothing else; to whatever else it meets it answers UNKNOWN, and the caller asks again
through `Repository.head`, which can do it all.
"""

from __future__ import annotations

from enum import Enum
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import TYPE_CHECKING

from ..errors import IntegrityError
from .digest import Digest
from .oci import MANIFEST_TYPES
from .reference import base_url

if TYPE_CHECKING:
    from collections.abc import Collection

    from .reference import Reference

_TIMEOUT = 10


class Unknown(Enum):
    """The probe cannot tell."""

    UNKNOWN = "unknown"


def head_manifest(reference: Reference, insecure: Collection[str] = ()) -> Digest | Unknown | None:
    """The digest at `reference`, None if nothing is there, UNKNOWN if it takes more to find out."""
    scheme, _, host = base_url(reference.registry, insecure).partition("://")
    connection = (HTTPConnection if scheme == "http" else HTTPSConnection)(host, timeout=_TIMEOUT)
    path = f"/v2/{reference.repository}/manifests/{reference.selector}"
    try:
        connection.request("HEAD", path, headers={"Accept": ", ".join(MANIFEST_TYPES)})
        response = connection.getresponse()
        if response.status == 404:
            return None
        told = response.headers.get("Docker-Content-Digest", "") if response.status == 200 else ""
        return Digest.parse(told) if told else Unknown.UNKNOWN
    except (OSError, HTTPException, IntegrityError):
        return Unknown.UNKNOWN
    finally:
        connection.close()

"""The environment uv runs in: nothing of the user's that could change a result, no login as argument."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from .logins import with_login
from .sources import mirrored

if TYPE_CHECKING:
    from .sources import Sources

# The first look at `sysconfig` is not safe among threads.
_ASKING = Lock()
# Where programs, certificates, proxies and credentials are; no other UV_*, no PIP_*.
_INHERITED = re.compile(
    r"PATH|HOME|TMPDIR|LANG|SSL_CERT_(?:FILE|DIR)|(?:HTTPS?|ALL|NO)_PROXY|NETRC|UV_KEYRING_PROVIDER",
    re.IGNORECASE,
)


def uv_program() -> str:
    """Where uv is: beside this python, as in a virtual environment, or where its package says (6 ms)."""
    beside = Path(sys.executable).with_name("uv")
    if beside.is_file():
        return str(beside)
    with _ASKING:
        from uv import find_uv_bin

        return find_uv_bin()


def uv_environment(sources: Sources, cache_dir: Path, *links: str) -> dict[str, str]:
    """Places are told here and not as arguments: those everybody on this machine may read.

    `links` come before the settings' own; an argument `--find-links` would hide both.
    """
    inherited = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    all_links = [*links, *(with_login(link, sources) for link in sources.pip_find_links)]
    return inherited | {
        "UV_CACHE_DIR": str(cache_dir / "uv"),
        "UV_HTTP_RETRIES": str(sources.retries),
        "UV_DEFAULT_INDEX": with_login(mirrored(sources.pip_index, sources), sources),
        **({"UV_FIND_LINKS": ",".join(all_links)} if all_links else {}),
    }

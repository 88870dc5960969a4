"""Prefect's REST API over plain HTTP: importing Prefect takes a second, which no caller should wait for.

Each request may be sent twice without harm (runs are created by an idempotency key), so that one is asked
again while a server restarts. https://docs.prefect.io/v3/api-ref/rest-api
"""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

from ...config.places import concealed
from ...errors import PrebakeError, SettingsError, Unreachable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

    from ..wiring import Workspace

IMPATIENT = 4
"""Attempts of who waits at a prompt: about 2 s."""
PATIENT = 16
"""Attempts of who follows a run: about a minute, in which a server restarts."""
_TOO_BUSY = (429, 502, 503, 504)
_PAGE = 200  # what Prefect gives at most


class Api:
    """Connections to one Prefect server; usable from several threads."""

    def __init__(self, url: str, attempts: int = IMPATIENT, login: str = "") -> None:
        from urllib3 import PoolManager, Retry, Timeout

        self._url = url.rstrip("/")
        retries = Retry(
            total=attempts - 1,
            allowed_methods=None,
            status_forcelist=_TOO_BUSY,
            backoff_factor=0.25,
            backoff_max=5,
            raise_on_status=False,
        )
        own = {"Authorization": f"Basic {b64encode(login.encode()).decode()}"} if login else {}
        self._pools = PoolManager(
            headers={"Accept": "application/json", **own},
            retries=retries,
            timeout=Timeout(connect=10, read=60),
        )

    def get(self, path: str) -> Any:
        """What is at `path`; None if nothing is. Raises SettingsError, Unreachable."""
        return self._exchange("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        """The answer to `body`; None if nothing is at `path`. Raises SettingsError, Unreachable."""
        return self._exchange("POST", path, body)

    def pages(self, path: str, body: dict[str, Any], limit: int) -> list[Any]:
        """At most `limit` of what a filter finds."""
        found: list[Any] = []
        while len(found) < limit:
            size = min(_PAGE, limit - len(found))
            page = self.post(path, body | {"limit": size, "offset": len(found)})
            found += page
            if len(page) < size:
                break
        return found

    def _exchange(self, method: str, path: str, body: object) -> Any:
        from urllib3.exceptions import HTTPError

        try:
            response = self._pools.request(method, f"{self._url}{path}", json=body)
        except HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise self._unreachable(reason) from None
        if response.status >= 400 and response.status != 404:
            raise self._refusal(response)
        try:
            answer = json.loads(response.data)
        except ValueError:
            raise self._stranger(response) from None
        return None if response.status == 404 else answer

    def _stranger(self, response: BaseHTTPResponse) -> SettingsError:
        facts = {
            "where": concealed(self._url),
            "found": response.headers.get("Content-Type", "something else"),
        }
        hint = "its address ends in /api, for instance http://127.0.0.1:4200/api"
        return SettingsError("this is not Prefect's API", facts=facts, hint=hint)

    def _refusal(self, response: BaseHTTPResponse) -> PrebakeError:
        if response.status >= 500 or response.status == 429:
            return self._unreachable(f"status {response.status}")
        told = response.data.decode(errors="replace")[:300]
        facts = {"where": concealed(self._url), "status": response.status, "answer": told}
        hint = "set PREFECT_API_AUTH_STRING to USER:PASSWORD" if response.status in (401, 403) else ""
        return SettingsError("Prefect's API refused a request", facts=facts, hint=hint)

    def _unreachable(self, reason: object) -> Unreachable:
        facts = {"where": concealed(self._url), "reason": reason}
        hint = "see that the server runs (`prebake up` starts one) and that its address is right"
        return Unreachable("Prefect's API did not answer", facts=facts, hint=hint)


def address(workspace: Workspace) -> str:
    """Where the API that settings or Prefect's own variable name is. Raises SettingsError."""
    url = workspace.settings.prefect_api or workspace.environ.get("PREFECT_API_URL", "")
    if not url.startswith(("http://", "https://")):
        facts = {"prefect_api": url or "none", "allowed": "http://HOST:4200/api"}
        hint = "start a server with `prebake up`, or set PREBAKE_PREFECT_API to the address of one"
        raise SettingsError("there is no server for remote runs", facts=facts, hint=hint)
    return url


def is_named(workspace: Workspace) -> bool:
    """Whether there is a server at all."""
    return bool(workspace.settings.prefect_api or workspace.environ.get("PREFECT_API_URL"))


def connect(workspace: Workspace, attempts: int = IMPATIENT) -> Api:
    """The API there. Raises SettingsError."""
    return Api(address(workspace), attempts, workspace.environ.get("PREFECT_API_AUTH_STRING", ""))

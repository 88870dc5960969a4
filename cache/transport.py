"""HTTP to registries: keep-alive, retries, time-outs, tokens, errors with facts; no registry verbs.

Invariant: an `Authorization` header goes to the registry it is for, or to the token server that this
registry named, and nowhere else. Tokens: https://distribution.github.io/distribution/spec/auth/token/

urllib3 costs 100 ms to import, so that is done when the first Transport is made.
"""

from __future__ import annotations

import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from ..errors import RegistryError, StoreError
from .reference import base_url
from .request import TOO_BUSY, Patience, Request, Traffic, failure, unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from urllib3 import BaseHTTPResponse, Retry, Timeout

    from .credentials import Challenge, Credentials
    from .request import Opener, Readable

# Blocks of 16 KiB, the default of urllib3, take 0.29 s of CPU for 200 MB, blocks of this size 0.11 s.
CHUNK = 1 << 20
# "Should be at least 60 seconds", says the token specification; Docker's client takes it so, too.
_SHORTEST_TOKEN = 60
_RENEW_BEFORE = 30
# Where a helper makes passwords, asking it takes a process, and they live for hours.
_KEEP_PASSWORD = 600


@dataclass(frozen=True)
class _Token:
    header: str | None = field(repr=False)
    expires: float


class _CountedBody:
    """A body that is being sent; urllib3 asks for `read` alone."""

    def __init__(self, body: Readable, count: Callable[[Traffic], None]) -> None:
        self._body = body
        self._count = count

    def read(self, size: int) -> bytes:
        try:
            data = self._body.read(size)
        except OSError as error:  # urllib3 would take it for a failure of the connection
            raise StoreError("a blob that is being sent cannot be read", facts={"reason": error}) from error
        self._count(Traffic(sent=len(data)))
        return data


class Transport:
    """Connections to registries, one pool per host; all methods may be called from several threads."""

    def __init__(
        self,
        credentials: Callable[[str], Credentials | None],
        insecure: Collection[str] = (),
        patience: Patience | None = None,
    ) -> None:
        from urllib3 import PoolManager

        self.patience = patience or Patience()
        self.traffic = Traffic()
        self._credentials = credentials
        self._insecure = frozenset(insecure)
        self._pools = PoolManager(num_pools=16, maxsize=16, blocksize=CHUNK)
        self._challenges: dict[str, Challenge] = {}
        self._tokens: dict[tuple[str, tuple[str, ...]], _Token] = {}
        self._token_lock = Lock()
        self._traffic_lock = Lock()

    def send(self, request: Request, *expected: int) -> BaseHTTPResponse:
        """The answer, if its status is expected. Raises Refused, Busy or Unreachable otherwise."""
        response = self._authorized(request)
        if response.status not in expected:
            raise failure(request, response)
        return response

    def count(self, traffic: Traffic) -> None:
        """Add to `traffic`."""
        with self._traffic_lock:
            self.traffic += traffic

    def base_url(self, registry: str) -> str:
        """Where a registry's API is."""
        return base_url(registry, self._insecure)

    def close(self) -> None:
        """Close the connections."""
        self._pools.clear()

    def _authorized(self, request: Request) -> BaseHTTPResponse:
        used = self._authorization(request)
        response = self._exchange(request, used)
        if response.status != 401 or not self._is_own(request, response):
            return response
        response.drain_conn()
        self._learn(request, response, used)
        fresh = self._authorization(request)
        return response if fresh == used else self._exchange(request, fresh)

    def _is_own(self, request: Request, response: BaseHTTPResponse | None = None) -> bool:
        """Whether the registry itself is asked (and answered), not a storage that it points to."""
        base = self.base_url(request.registry) + "/"
        history = response.retries.history if response and response.retries else ()
        redirected = any(step.redirect_location for step in history)
        return urljoin(base, request.target).startswith(base) and not redirected

    def _exchange(self, request: Request, authorization: str | None = None) -> BaseHTTPResponse:
        from urllib3.exceptions import HTTPError

        own = {"Authorization": authorization} if authorization else {}
        try:
            with self._opened(request.body) as body:
                response = self._pools.urlopen(
                    request.method,
                    urljoin(self.base_url(request.registry), request.target),
                    redirect=request.method in ("GET", "HEAD"),
                    body=body,
                    headers={**request.headers, **own},
                    retries=self._retry(request),
                    timeout=self._timeout(request),
                    preload_content=not request.stream,
                    decode_content=False,
                )
        except HTTPError as error:
            raise unreachable(request, error) from None  # its text has the query, which may hold a signature
        history = response.retries.history if response.retries else ()
        self.count(Traffic(1 + len(history), received=0 if request.stream else len(response.data)))
        return response

    @contextmanager
    def _opened(self, body: bytes | Opener | None) -> Iterator[bytes | _CountedBody | None]:
        if callable(body):
            with closing(body()) as stream:
                yield _CountedBody(stream, self.count)
        else:
            self.count(Traffic(sent=len(body or b"")))
            yield body

    def _timeout(self, request: Request) -> Timeout:
        from urllib3 import Timeout

        return Timeout(connect=self.patience.connect, read=request.read_timeout or self.patience.read)

    def _retry(self, request: Request) -> Retry:
        from urllib3 import Retry

        return Retry(
            total=self.patience.attempts - 1 if request.repeatable else 0,
            other=0,  # TLS errors: the certificate stays as it is
            allowed_methods=None,
            status_forcelist=TOO_BUSY,
            backoff_factor=self.patience.backoff,
            backoff_jitter=self.patience.backoff,
            raise_on_status=False,
            retry_after_max=self.patience.longest_retry_after,
        )

    def _authorization(self, request: Request) -> str | None:
        challenge = self._challenges.get(request.registry)
        if challenge is None or not self._is_own(request):
            return None
        key = (request.registry, request.scopes)
        with self._token_lock:
            token = self._tokens.get(key)
            if token is None or token.expires - time.monotonic() < _RENEW_BEFORE:
                token = self._tokens[key] = self._fetch_token(challenge, request)
            return token.header

    def _learn(self, request: Request, response: BaseHTTPResponse, used: str | None) -> None:
        from .credentials import parse_challenge

        challenge = parse_challenge(response.headers.getlist("WWW-Authenticate"))
        if challenge is None:
            return
        key = (request.registry, request.scopes)
        with self._token_lock:
            self._challenges[request.registry] = challenge
            # Another thread may have replaced the refused token in the meantime.
            if key in self._tokens and self._tokens[key].header == used:
                del self._tokens[key]

    def _fetch_token(self, challenge: Challenge, request: Request) -> _Token:
        if challenge.scheme == "basic":
            credentials = self._credentials(request.registry)
            return _Token(credentials.basic() if credentials else None, time.monotonic() + _KEEP_PASSWORD)
        asking = self._token_request(challenge, request)
        response = self._exchange(asking)
        if response.status != 200:
            raise failure(asking, response)
        try:
            answer = json.loads(response.data)
            lifetime = max(int(answer.get("expires_in") or 0), _SHORTEST_TOKEN)
            header = "Bearer " + (answer.get("token") or answer["access_token"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise RegistryError("a token server answered nonsense", facts=asking.facts()) from None
        return _Token(header, time.monotonic() + lifetime)

    def _token_request(self, challenge: Challenge, request: Request) -> Request:
        """GET with a password or anonymously, POST for an identity token, as the specification has it."""
        if self.base_url(request.registry).startswith("https:") and not challenge.realm.startswith("https:"):
            facts = request.facts() | {"token server": challenge.realm}
            raise RegistryError("a token server wants credentials in clear text", facts=facts)
        credentials, whose = self._credentials(request.registry), (request.registry, request.repository)
        if credentials and credentials.identity_token:
            form = challenge.refresh_form(request.scopes, credentials.identity_token)
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            return Request("POST", *whose, challenge.realm, headers, form, request.actions)
        headers = {"Authorization": credentials.basic()} if credentials else {}
        return Request("GET", *whose, challenge.token_url(request.scopes), headers, actions=request.actions)

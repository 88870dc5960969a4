"""What is asked of a registry, how patiently, and what a refusal means: values and errors, no connection."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from ..errors import PrebakeError, RegistryError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from urllib3 import BaseHTTPResponse

    Opener = Callable[[], "Readable"]

# What passes by itself; other 5xx are not asked again at once, but are retryable for whoever asked.
TOO_BUSY = (429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try; the time-outs hold per attempt, queueing is not in them."""

    connect: float = 10
    read: float = 60
    attempts: int = 5
    backoff: float = 0.5
    longest_retry_after: int = 300

    def rest(self, attempt: int, error: PrebakeError) -> None:
        """Sleep before the next attempt, as long as the server asked for, if it did."""
        import random  # nobody else on the way needs it

        jittered = self.backoff * 2**attempt * random.random()
        time.sleep(min(getattr(error, "retry_after", 0) or jittered, self.longest_retry_after))


class Readable(Protocol):
    """What an upload needs of a file."""

    def read(self, size: int, /) -> bytes: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


@dataclass(frozen=True)
class Request:
    """One request about a repository; `target` is a path with query, or a URL that a registry gave.

    `repeatable` requests may be sent twice without harm; `mounts` are repositories to read blobs from.
    """

    method: str
    registry: str
    repository: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | Opener | None = field(default=None, repr=False)
    actions: str = "pull"
    mounts: tuple[str, ...] = ()
    repeatable: bool = True
    stream: bool = False
    read_timeout: float = 0

    @property
    def scopes(self) -> tuple[str, ...]:
        """What a token must allow."""
        sources = (f"repository:{name}:pull" for name in self.mounts)
        return (f"repository:{self.repository}:{self.actions}", *sources)

    def facts(self) -> dict[str, object]:
        """For errors; without the query, which may hold a signature."""
        line = f"{self.method} {urlsplit(self.target).path}"
        return {"registry": self.registry, "repository": self.repository, "request": line}


class Refused(RegistryError):
    """A registry's refusal, with its status and the codes and details of its error document."""

    def __init__(self, request: Request, status: int, errors: list[dict[str, Any]]) -> None:
        hint = f"run `docker login {request.registry}` with an account that may {request.actions}"
        super().__init__(
            f"registry {request.registry} refused a request",
            facts=request.facts() | _error_facts(status, errors),
            hint=hint if status in (401, 403) else "",
        )
        self.status = status
        self.codes = tuple(str(error.get("code")) for error in errors)
        self.detail = json.dumps([error.get("detail") for error in errors])


class Busy(Unreachable):
    """A registry that answers 429 or 5xx; `retry_after` is how many seconds it asked to wait."""

    def __init__(self, request: Request, status: int, errors: list[dict[str, Any]], wait: float) -> None:
        facts = request.facts() | _error_facts(status, errors)
        super().__init__(f"registry {request.registry} is too busy or broken", facts=facts)
        self.retry_after = wait


@dataclass(frozen=True)
class Traffic:
    """What went over the wire: bodies alone, retries included where they are this project's own."""

    requests: int = 0
    sent: int = 0
    received: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.requests + other.requests, self.sent + other.sent, self.received + other.received)


def unreachable(request: Request, error: Exception) -> PrebakeError:
    """What a failed exchange means: a certificate is refused for good, anything else may pass."""
    from urllib3.exceptions import SSLError

    reason = getattr(error, "reason", None) or error
    facts = request.facts() | {"reason": reason}
    if isinstance(reason, SSLError):
        hint = "add its certificate authority, or list the registry as insecure if it speaks plain HTTP"
        return RegistryError(f"no trusted connection to registry {request.registry}", facts=facts, hint=hint)
    hint = "see that it runs and that its name and port are right, then try again"
    return Unreachable(f"registry {request.registry} did not answer", facts=facts, hint=hint)


def failure(request: Request, response: BaseHTTPResponse) -> PrebakeError:
    """What an answer that nobody expected means."""
    errors = _errors(response.data)
    if response.status != 429 and response.status < 500:
        return Refused(request, response.status, errors)
    retry_after = response.headers.get("Retry-After", "")
    return Busy(request, response.status, errors, float(retry_after) if retry_after.isdigit() else 0)


def _errors(body: bytes) -> list[dict[str, Any]]:
    """The error document of the distribution specification, if the body is one."""
    try:
        return [error for error in json.loads(body)["errors"] if isinstance(error, dict)]
    except (ValueError, KeyError, TypeError):
        return []


def _error_facts(status: int, errors: list[dict[str, Any]]) -> dict[str, object]:
    first = errors[0] if errors else {}
    told = {name: first[name] for name in ("code", "message") if first.get(name)}
    return {"status": status, **told}

"""Whether an index refused: uv takes 401 and 403 for "no such package", so the index is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import PrebakeError, SolveError, Unreachable
from .fetch import locate
from .pip_errors import UNKNOWN
from .sources import login_hint, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .sources import Sources


def refusal(message: str, indexes: Iterable[str], sources: Sources) -> PrebakeError | None:
    """The error of the first index that did not let us look for the package uv misses; None if all did.

    Some static servers say 403 of pages that do not exist: the hint names both.
    """
    unknown = UNKNOWN.search(message)
    if unknown is None:
        return None
    return next(filter(None, (_ask(index, unknown[1], sources) for index in indexes)), None)


def _ask(index: str, package: str, sources: Sources) -> PrebakeError | None:
    import urllib3

    place = locate(f"{index.rstrip('/')}/{package}/", sources)
    facts = {"index": redact(index), "package": package}
    try:
        answer = urllib3.request("GET", place.url, headers=place.headers, retries=2, timeout=30.0)
    except urllib3.exceptions.HTTPError as error:
        facts["reason"] = redact(str(error))
        return Unreachable("the package index does not answer", facts=facts, hint="try again")
    if answer.status not in (401, 403, 407):
        return None
    correct = f", or correct the name `{package}`" if answer.status == 403 else ""
    sentence = f"the package index refused the request ({answer.status})"
    return SolveError(sentence, facts=facts, hint=login_hint(place.url) + correct)

"""The credentials in use in this process, in every form they may turn up in.

Forms: raw, URL-quoted, escaped as in JSON, and base64 of `user:password` as a header carries it, in both
alphabets. Forms below six bytes are left out: five random bytes turn up once in a terabyte of binaries, and a
short word in any text. So a shorter password is looked for as a header alone. A password that is a common
word refuses what holds the word. What is packed again inside of a file (a zip in a layer) is not seen.

    >>> Secret.of("index pypi.example", "alice", "correct horse")
    Secret(owner='index pypi.example, user `alice`')
"""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote, urlsplit

from .logins import find_login, setting_urls
from .sources import mirrored, url_tokens, without_user

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..cache.credentials import Credentials
    from .sources import Sources

SHORTEST = 6


@dataclass(frozen=True)
class Secret:
    """Whose credential it is, and the byte strings that would give it away."""

    owner: str
    forms: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, server: str, user: str, secret: str) -> Secret:
        """The credential of `user`; a user without a password is a token itself and is not named."""
        word = secret or user
        coded = b64encode(f"{user}:{secret}".encode())
        forms = [coded, coded.translate(bytes.maketrans(b"+/", b"-_"))] if user else []
        forms = [form.rstrip(b"=") for form in forms]  # some clients send no padding
        texts = (word, quote(word), quote(word, safe=""), quote_plus(word), json.dumps(word)[1:-1])
        forms += [text.encode() for text in texts]
        named = f", user `{user}`" if user and secret else ""
        return cls(f"{server}{named}", _shortest(form for form in forms if len(form) >= SHORTEST))


def package_secrets(urls: Iterable[str], sources: Sources) -> tuple[Secret, ...]:
    """Credentials for the settings' servers, and for those of `urls`: a lock's channels and archives."""
    servers: dict[tuple[object, ...], str] = {}
    for url in (*setting_urls(sources), *(mirrored(url, sources) for url in urls)):
        parts = urlsplit(url)
        if parts.hostname:  # with user info and tokens: a server may know several
            servers.setdefault((parts.scheme, parts.netloc, *url_tokens(url)), url)
    places = [(urlsplit(without_user(url)).netloc, url) for url in servers.values()]
    found = ((server, find_login(url, sources)) for server, url in places)
    secrets = [Secret.of(server, login.user, login.secret) for server, login in found if login]
    secrets += [Secret.of(server, "", unquote(token)) for server, url in places for token in url_tokens(url)]
    return tuple({secret.forms: secret for secret in secrets if secret.forms}.values())


def registry_secrets(found: Iterable[tuple[str, Credentials | None]]) -> tuple[Secret, ...]:
    """Credentials for registries, by the registry's name."""
    secrets = (
        Secret.of(f"registry {registry}", each.username, each.password or each.identity_token)
        for registry, each in found
        if each
    )
    return tuple(secret for secret in secrets if secret.forms)


def _shortest(forms: Iterable[bytes]) -> tuple[bytes, ...]:
    """Forms that no other form is part of: who finds these finds all."""
    unique = sorted(set(forms), key=lambda form: (len(form), form))
    return tuple(
        form for place, form in enumerate(unique) if not any(other in form for other in unique[:place])
    )

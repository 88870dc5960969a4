"""Where an S3 store is, and what it means when S3 refuses a request: values and errors, no connection.

>>> Bucket.parse("s3://team-cache/prebake/v1")
Bucket(name='team-cache', prefix='prebake/v1', endpoint=None, region=None)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PrebakeError, RegistryError, SettingsError, Unreachable
from .request import TOO_BUSY

if TYPE_CHECKING:
    from collections.abc import Mapping

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
# "safe characters" of https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html, no `.` or `..`
_PREFIX = re.compile(r"(?!(.*/)?\.\.?(/|$))[\w!.*'()-]+(/[\w!.*'()-]+)*", re.ASCII)
_ENDPOINT = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d+)?/?")
_PASSING = {"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests"}


@dataclass(frozen=True)
class Bucket:
    """A bucket and a prefix in it; no endpoint means AWS. Raises SettingsError for what cannot be one."""

    name: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _invalid("bucket", self.name, "3 to 63 lower-case letters, digits, `.`, `-`")
        if self.prefix and not _PREFIX.fullmatch(self.prefix):
            raise _invalid("prefix", self.prefix, "names of letters, digits, `!_.*'()-`, `/` between them")
        if self.endpoint is not None and not _ENDPOINT.fullmatch(self.endpoint):
            # not shown: what is wrong with it may be a password in it
            raise _invalid("endpoint", "(not shown)", "http(s)://HOST[:PORT], no user, path or query")

    def __str__(self) -> str:
        return f"s3://{self.name}/{self.prefix}".rstrip("/")

    @classmethod
    def parse(cls, text: str, endpoint: str | None = None, region: str | None = None) -> Bucket:
        """Read `s3://BUCKET[/PREFIX]`. Raises SettingsError."""
        scheme, _, rest = text.partition("://")
        if scheme != "s3":
            raise _invalid("store", text, "s3://BUCKET or s3://BUCKET/PREFIX")
        name, _, prefix = rest.partition("/")
        return cls(name, prefix.removesuffix("/"), endpoint, region)

    @property
    def folder(self) -> str:
        """What the names of all objects start with."""
        return f"{self.prefix}/" if self.prefix else ""


def _invalid(what: str, found: str, allowed: str) -> SettingsError:
    hint = "write s3://BUCKET/PREFIX"
    return SettingsError(f"not an S3 {what}", facts={"found": found, "allowed": allowed}, hint=hint)


_ACCESS = (
    "see that boto3 finds credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, a role) that may read, write and list;"
    " without s3:ListBucket, S3 answers 403 for what is absent"
)
_NO_BUCKET = "make the bucket, or see that its name, region and endpoint are right"
_HINTS = {
    "NoSuchBucket": _NO_BUCKET,
    "404": _NO_BUCKET,
    "PermanentRedirect": "the bucket is in another region: set it",
    "AuthorizationHeaderMalformed": "the bucket is in another region: set it",
    "RequestTimeTooSkewed": "set this machine's clock",
    "ExpiredToken": "the session is over: sign in again",
}


class Refused(RegistryError):
    """S3's refusal of a request, with the code it gave."""

    def __init__(self, bucket: Bucket, operation: str, status: int, code: str, message: str = "") -> None:
        facts = {"store": bucket, "operation": operation, "status": status, "code": code, "message": message}
        hint = _HINTS.get(code, _ACCESS if status in (401, 403) else "")
        super().__init__("S3 refused a request", facts=facts, hint=hint)
        self.code = code


def refusal(bucket: Bucket, operation: str, answer: Mapping[str, Any]) -> PrebakeError:
    """What an answer that nobody hoped for means; `answer` is a botocore ClientError's `response`."""
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code, message = (str(answer.get("Error", {}).get(part, "")) for part in ("Code", "Message"))
    if status not in TOO_BUSY and code not in _PASSING:
        return Refused(bucket, operation, status, code, message)
    facts = {"store": bucket, "operation": operation, "status": status, "code": code, "message": message}
    return Unreachable("S3 is too busy or broken", facts=facts, hint="try again later")


def unusable(bucket: Bucket, operation: str, reason: str) -> PrebakeError:
    """No request could be made: credentials, profile, region or certificate are missing or wrong."""
    facts = {"store": bucket, "operation": operation, "reason": reason}
    return RegistryError("S3 cannot be asked", facts=facts, hint=_ACCESS)


def no_answer(bucket: Bucket, operation: str, reason: object) -> PrebakeError:
    """Nobody answered, or the connection was lost too often."""
    facts = {"store": bucket, "operation": operation, "endpoint": bucket.endpoint or "AWS", "reason": reason}
    hint = "see that the endpoint is right and up, then try again"
    return Unreachable("S3 did not answer", facts=facts, hint=hint)

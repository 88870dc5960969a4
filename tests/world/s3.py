"""A real server of the S3 protocol (moto, in a process of its own), its buckets in memory.

with s3() as made:
    made.sign_in(monkeypatch)
    bucket = Bucket(made.make_bucket(), endpoint=made.url)
"""

import os
import sys
import tempfile
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from world.services import answers, free_port, served

SECRET = "sample-secret"
_ENVIRON = {
    "AWS_ACCESS_KEY_ID": "AKIASAMPLEWORLD00000",
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# moto reads who it is that signed; it compares the signature only when asked to
_SIGNED = (
    "Credential=AKIASAMPLEWORLD00000/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)
_HEADERS = {"Content-Type": "text/plain", "Authorization": f"AWS4-HMAC-SHA256 {_SIGNED}"}


@dataclass(frozen=True, slots=True)
class S3:
    """A running server; it lets everybody in until it is `asking_for_credentials`."""

    url: str

    def sign_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give boto3 credentials, and nothing of this machine's own configuration."""
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in _ENVIRON.items():
            monkeypatch.setenv(name, value)

    def make_bucket(self) -> str:
        """A bucket of its own for each who asks."""
        name = f"bucket-{uuid.uuid4().hex}"
        self.put(name, b"")
        return name

    def put(self, path: str, data: bytes) -> None:
        """Write an object behind everybody's back; `path` is BUCKET/NAME."""
        _send("PUT", f"{self.url}/{path}", data)

    def uploads(self, bucket: str) -> int:
        """How many multipart uploads are neither complete nor aborted."""
        return _send("GET", f"{self.url}/{bucket}?uploads").count(b"<UploadId>")

    @contextmanager
    def asking_for_credentials(self) -> Iterator[None]:
        """Nobody has any, so whoever comes is refused."""
        _send("POST", f"{self.url}/moto-api/reset-auth", b"0")
        try:
            yield
        finally:
            _send("POST", f"{self.url}/moto-api/reset-auth", b"inf")


@contextmanager
def s3() -> Iterator[S3]:
    port = free_port()
    made = S3(f"http://127.0.0.1:{port}")
    # short pages, so that listing more than one is cheap
    command = [
        "env",
        "MOTO_S3_DEFAULT_MAX_KEYS=10",
        sys.executable,
        "-m",
        "moto.server",
        "-H",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    with tempfile.TemporaryDirectory(prefix="s3-") as name:
        ready = f"{made.url}/moto-api/data.json"
        with served(command, Path(name) / "s3.log", lambda: answers(ready)):
            yield made


def _send(method: str, url: str, data: bytes | None = None) -> bytes:
    request = urllib.request.Request(url, data, _HEADERS, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        body: bytes = answer.read()
    return body

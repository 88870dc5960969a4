"""The sample channel and index for those who know a password: nginx with basic authentication, or a token.

with private(root, User("alice", "p@ss/w0rd")) as url:
    ...     # url/channel, url/index/simple; and the channel at url/t/TOKEN/channel without a password
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from world.services import answers, free_port, nginx_config, served
from world.tools import executable


@dataclass(frozen=True)
class User:
    """Who may come in; `token` opens what is below `/t/TOKEN/`, as on anaconda.org."""

    name: str
    password: str = field(repr=False)
    token: str = field(default="", repr=False)

    def at(self, url: str) -> str:
        """The URL with user and password in it."""
        scheme, _, rest = url.partition("://")
        return f"{scheme}://{quote(self.name, safe='')}:{quote(self.password, safe='')}@{rest}"


@contextmanager
def private(root: Path, user: User) -> Iterator[str]:
    """Yields the base URL, without a slash at its end."""
    url = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="private-") as name:
        scratch = Path(name)
        (scratch / "htpasswd").write_text(f"{user.name}:{{PLAIN}}{user.password}\n")
        guard = f"auth_basic sample; auth_basic_user_file {scratch}/htpasswd;"
        by_token = (
            f"location /t/{user.token}/ {{ auth_basic off; alias {root.resolve()}/; }}" if user.token else ""
        )
        open_to_all = nginx_config(root.resolve(), scratch, scratch, url)
        config = scratch / "nginx.conf"
        config.write_text(open_to_all.replace("autoindex on;", f"{guard} {by_token}"))
        command = [executable("nginx"), "-e", "stderr", "-c", str(config)]
        with served(command, scratch / "nginx.log", lambda: answers(f"{url}/")):
            yield url

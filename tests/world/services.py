"""Real services over the sample world, each a context manager on a free loopback port.

Invariant: a service is ready when its context is entered, and none of its processes is left when it ends.

    with static(world) as url, registry(scratch) as made:
        push_base(world, made.host)
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from world.tools import executable, run

_READY_SECONDS = 30.0
_STOP_SECONDS = 15.0


class ServiceDied(Exception):
    """A service ended or stayed silent before it was ready; the message carries its last words."""


@dataclass(frozen=True, slots=True)
class Registry:
    """A running docker-registry. `host` is what stands before the slash of an image reference."""

    host: str
    log: Path
    credentials: tuple[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}"


@dataclass(frozen=True, slots=True)
class DockerHost:
    """A running dockerd. Containers need `--network host`: it has no bridge."""

    url: str
    data: Path
    log: Path

    def docker(self, *arguments: str) -> str:
        return run("docker", "--host", self.url, *arguments).decode()


@contextmanager
def registry(root: Path, htpasswd: tuple[str, str] | None = None, tells: str = "") -> Iterator[Registry]:
    """docker-registry with its storage under `root`; basic authentication if a (user, password) is given.

    It tells the URL `tells`, if given, of every push.
    """
    root.mkdir(parents=True, exist_ok=True)
    made = Registry(f"127.0.0.1:{free_port()}", root / "registry.log", htpasswd)
    config = root / "registry.yml"
    settings = _registry_config(made, root)
    if tells:
        endpoint = {"name": "told", "url": tells, "timeout": "5s", "threshold": 3, "backoff": "100ms"}
        settings["notifications"] = {"endpoints": [endpoint]}
    config.write_text(json.dumps(settings))  # JSON is YAML
    command = [executable("docker-registry"), "serve", str(config)]
    with served(command, made.log, lambda: answers(f"{made.url}/v2/")):
        yield made


@contextmanager
def static(root: Path, logs: Path | None = None) -> Iterator[str]:
    """nginx over a folder: ranges, keep-alive, ETags. Yields the base URL, without a slash at its end.

    `logs` keeps static.log (errors) and access.log (one line per request: method, path, status, bytes).
    """
    url = f"http://127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory(prefix="static-") as name:
        scratch = Path(name)
        config = scratch / "nginx.conf"
        config.write_text(nginx_config(root.resolve(), scratch, (logs or scratch).resolve(), url))
        # without -e it would first open its compiled-in error log
        command = [executable("nginx"), "-e", "stderr", "-c", str(config)]
        with served(command, (logs or scratch) / "static.log", lambda: answers(f"{url}/")):
            yield url


@contextmanager
def dockerd(root: Path) -> Iterator[DockerHost]:
    """A Docker daemon of its own, as root, with its images under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    # sockets must have paths below 108 characters, so they live in a short folder and not under root
    short = Path(tempfile.mkdtemp(prefix="dockerd-"))
    made = DockerHost(f"unix://{short}/docker.sock", root / "data", root / "dockerd.log")
    try:
        with served(_dockerd_command(made, short), made.log, lambda: _docker_answers(made)):
            yield made
    finally:
        _end_shims(short)
        _unmount_below(short, made.data)
        shutil.rmtree(short)


def push_base(world: Path, host: str, credentials: tuple[str, str] | None = None) -> None:
    """Copy every base reference, digests unchanged: `debian:12` becomes `HOST/debian:12`."""
    layout = world / "base"
    login = ["--dest-creds", ":".join(credentials)] if credentials else []
    for manifest in json.loads((layout / "index.json").read_text())["manifests"]:
        name = manifest["annotations"]["org.opencontainers.image.ref.name"]
        copy = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", *login]
        run("skopeo", "--insecure-policy", *copy, f"oci:{layout}:{name}", f"docker://{host}/{name}")


def _registry_config(made: Registry, root: Path) -> dict[str, object]:
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(root.resolve())}, "delete": {"enabled": True}},
        "http": {"addr": made.host},
    }
    if made.credentials:
        user, password = made.credentials
        line = f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n"
        path = root / "htpasswd"
        path.write_text(line)
        config["auth"] = {"htpasswd": {"realm": "sample", "path": str(path.resolve())}}
    return config


def nginx_config(root: Path, scratch: Path, logs: Path, url: str) -> str:
    bodies = "".join(
        f"{kind}_temp_path {scratch}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # as root, workers would become nobody, who cannot read a private folder
    user = "user root;" if os.geteuid() == 0 else ""
    return (
        f"{user} daemon off; master_process off; pid {scratch}/pid; events {{ worker_connections 512; }}\n"
        f"http {{ sendfile on; tcp_nopush on; {bodies} default_type application/octet-stream;\n"
        f"types {{ text/html html; application/json json; }}\n"
        "log_format short '$request_method $request_uri $status $body_bytes_sent';\n"
        f"access_log {logs}/access.log short;\n"
        f"server {{ listen {url.removeprefix('http://')}; root {root}; autoindex on; }} }}\n"
    )


def _dockerd_command(made: DockerHost, short: Path) -> list[str]:
    state = [f"--data-root={made.data.resolve()}", f"--exec-root={short}/exec", f"--pidfile={short}/pid"]
    # no firewall and no bridge: they would change the machine's network, and containers use the host's
    network = ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    storage = ["--storage-driver=overlay2", "--shutdown-timeout=3"]
    return [executable("dockerd"), "--host", made.url, *state, *network, *storage]


def _docker_answers(made: DockerHost) -> bool:
    asked = [executable("docker"), "--host", made.url, "version"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def answers(url: str) -> bool:
    """Whether a server is up at an address; refusing a request is an answer too."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:  # 401 and 403 also come from a server that is up
        return True
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(command: Sequence[str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    """A process that is ready when `ready` says so; else ServiceDied with its last words."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
        try:
            _wait_until_ready(process, log, ready)
            yield
        finally:
            stop(process)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.02)
    words = log.read_text(errors="replace").strip()[-1500:]
    raise ServiceDied(f"{process.args!r} did not become ready\n{words}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """The leader ends its children; what it leaves of its group is killed."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end_shims(folder: Path) -> None:
    """What a killed dockerd leaves of its containers; a shim is told where its daemon was."""
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(ProcessLookupError, FileNotFoundError):
            if f"\0{folder}/exec/".encode() in arguments.read_bytes():
                os.kill(int(arguments.parent.name), signal.SIGKILL)


def _unmount_below(*folders: Path) -> None:
    """dockerd leaves its network namespace mounted, and its overlays if it was killed."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if any(Path(mount).is_relative_to(folder.resolve()) for folder in folders):
            run("umount", "--lazy", mount)

"""`docker/1`: a Docker Engine builds a Dockerfile, and its image becomes layers and a config of ours.

The engine gets the context packed, the Dockerfile in it pinned to digests. BuildKit runs it where the
`docker` command can ask for that, else the engine's classic builder. What the pinned base brings is left
where it is; the layers on top are taken out of the engine and packed again, so tiers treat them like others.

The image stays in the engine, without a name: the next build of a changed context goes on from it.
"""

from __future__ import annotations

import re
import subprocess
from collections import deque
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..cache.oci import CONFIG
from ..cache.store import Trace, layer_to_json
from ..config.places import concealed
from ..errors import DefinitionError, Unreachable
from .context import context_inputs, hidden, write_pack
from .docker import _engine_errors, connect
from .docker_export import export
from .docker_failure import failure
from .dockerfile import pinned
from .dockerignore import NAME as IGNORE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient

    from ..cache.digest import Json
    from ..cache.reference import Reference
    from .docker_access import Access
    from .docker_pin import PinnedBuild
    from .plan import PlannedLayer
    from .world import World

# Enough to find the step that a failing command belongs to.
_KEPT_LINES = 10_000
# The first `docker` that leaves BuildKit to its buildx plugin.
_FIRST_WITHOUT_BUILDKIT = 23
_DOCKERFILE = "Dockerfile"
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_USUAL_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, eq=False, repr=False)
class _Job:
    """A build on its way: its packed context, the engine, and who hears its output."""

    build: PinnedBuild
    pack: Path
    platform: str
    engine: DockerClient
    access: Access
    report: Callable[[str], None]


def make_docker(planned: PlannedLayer, world: World, access: Access) -> Trace:
    """Build and take over what was built. Raises EngineError, Unreachable, DefinitionError."""
    build = planned.build
    assert build, "no Dockerfile"
    inputs: Any = planned.inputs["inputs"]
    with world.store.local.scratch() as folder, connect(access.host, access.certificates) as engine:
        pack = _pack(build, world, folder)
        for image in {str(each): each for each in build.images.values()}.values():
            _pull(world.registries.place(image), inputs["platform"], engine, access)
        job = _Job(build, pack, inputs["platform"], engine, access, world.report)
        command = _docker_command(access.environ)
        image_id = _buildkit(job, command) if command else _classic(job)
        world.report("taking the layers out of the Docker Engine")
        made = export(engine, image_id, build.base, world, inputs["compression"])
    kept = world.store.local.keep(made.config_without(access.labels), CONFIG)
    outputs: dict[str, Json] = {"layers": [layer_to_json(layer) for layer in made.layers]}
    blobs = (kept, *(layer.descriptor for layer in made.layers))
    return Trace(planned.key, planned.inputs, outputs, blobs, {"bytes": build.size})


def _pack(build: PinnedBuild, world: World, folder: Path) -> Path:
    """The context with the pinned Dockerfile in the place of the user's."""
    where = {name: str(world.registries.place(image)) for name, image in build.images.items()}
    dockerfile = folder / _DOCKERFILE
    dockerfile.write_bytes(pinned(build.dockerfile, where).encode())
    name = build.context.dockerfile_path
    files = [
        replace(file, source=dockerfile, kind="file") if file.path == name else file for file in build.files
    ]
    pack = folder / "context.tar.gz"
    with pack.open("wb") as stream:
        write_pack(files, stream)
    if context_inputs(build.files) != build.inputs["context"]:
        facts = {"folder": build.context.path}
        hint = "wait until nothing writes there, and build again"
        raise DefinitionError("the build context changed while it was read", facts=facts, hint=hint)
    return pack


def _pull(image: Reference, platform: str, engine: DockerClient, access: Access) -> None:
    """Have an image in the engine: by our own credentials, wherever the engine would look for its own."""
    name = f"{image.name}@{image.digest}"
    with _engine_errors("pull a base image", {"image": name}):
        found = access.credentials(image.registry)
        login = {"username": found.username, "password": found.password} if found else None
        if found and found.identity_token:
            login = {"identitytoken": found.identity_token}
        engine.images.pull(image.name, tag=str(image.digest), platform=platform, auth_config=login)


def _classic(job: _Job) -> str:
    """The image's id, by the engine's own builder."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    image_id = ""
    with (
        job.pack.open("rb") as context,
        _engine_errors("build the image", {"file": job.build.dockerfile.path}),
    ):
        events: Iterable[dict[str, Any]] = job.engine.api.build(
            fileobj=context,
            custom_context=True,
            encoding="gzip",
            dockerfile=job.build.context.dockerfile_path,
            rm=True,
            forcerm=True,
            decode=True,
            labels=dict(job.access.labels),
            network_mode=job.access.network or None,
            platform=job.platform,
        )
        for event in events:
            if "error" in event:
                raise failure(job.build, lines, str(event["error"]))
            image_id = event.get("aux", {}).get("ID", image_id)
            _hear(event.get("stream", "").splitlines(), lines, job.report)
    if not image_id:
        raise Unreachable("the Docker Engine stopped in the middle of a build", hint="look into its log")
    return image_id


def _hear(said: Iterable[str], lines: deque[str], report: Callable[[str], None]) -> None:
    """The classic builder colours what came by standard error."""
    for line in filter(None, (concealed(_COLOUR.sub("", each)).rstrip() for each in said)):
        lines.append(line)
        report(line)


def _buildkit(job: _Job, command: str) -> str:
    """The image's id, by BuildKit."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    told = job.pack.with_name("image-id")
    options = [*_options(job), "--iidfile", str(told), "--progress", "plain"]
    with (
        subprocess.Popen(
            [command, "build", *options, str(_laid_out(job))],
            env=_environment(job.access),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        try:
            _hear(process.stdout or (), lines, job.report)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        with _engine_errors("build the image", {"file": job.build.dockerfile.path}):
            job.engine.ping()  # where it is gone, the Dockerfile is not to blame
        raise failure(job.build, lines, lines[-1] if lines else f"exit code {process.returncode}")
    return told.read_text().strip()


def _laid_out(job: _Job) -> Path:
    """The packed context as a folder: in an archive, BuildKit hides nothing from `COPY`."""
    import tarfile

    folder = job.pack.with_name("context")
    with tarfile.open(job.pack) as tar:
        tar.extractall(folder, filter="fully_trusted")  # packed here; the filters change modes
    context = job.build.context
    names = (re.sub(r"[*?\[\\]", r"\\\g<0>", name) for name in hidden(context.path, context.dockerfile_path))
    job.pack.with_name(f"{_DOCKERFILE}{IGNORE}").write_text("\n".join(names))
    return folder


def _options(job: _Job) -> Iterator[str]:
    yield from ("--file", str(job.pack.with_name(_DOCKERFILE)), "--platform", job.platform)
    if job.access.network:
        yield from ("--network", job.access.network)
    for name, value in job.access.labels.items():
        yield from ("--label", f"{name}={value}")


def _environment(access: Access) -> dict[str, str]:
    """The same engine that is connected to, whatever context the command would choose."""
    own = {"DOCKER_BUILDKIT": "1", "BUILDX_BUILDER": "default", "DOCKER_HOST": access.host or _USUAL_SOCKET}
    if access.certificates:
        own |= {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(access.certificates)}
    return dict(access.environ) | own


def _docker_command(environ: Mapping[str, str]) -> str | None:
    """Where `docker` is, if it can ask for BuildKit."""
    from shutil import which

    command = which("docker", path=environ.get("PATH", ""))
    if command is None:
        return None
    ask = partial(subprocess.run, env=dict(environ), capture_output=True, text=True, check=False)
    if ask([command, "buildx", "version"]).returncode == 0:
        return command
    words = ask([command, "--version"]).stdout.split()  # Docker version 20.10.24+dfsg1, build 5d6db84
    major = words[2].partition(".")[0] if len(words) > 2 else ""
    return command if major.isdecimal() and int(major) < _FIRST_WITHOUT_BUILDKIT else None

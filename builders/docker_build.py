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
from ..errors import DefinitionError, EngineError, Unreachable
from .context import context_inputs, hidden, write_pack
from .docker import connect, engine_errors
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
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_USUAL_SOCKET = "unix:///var/run/docker.sock"


@dataclass(frozen=True, eq=False, repr=False)
class _Job:
    """A build on its way: a folder for its packed context, and the engine."""

    build: PinnedBuild
    folder: Path
    platform: str
    engine: DockerClient
    access: Access
    world: World

    @property
    def pack(self) -> Path:
        """The packed context."""
        return self.folder / "context.tar.gz"

    @property
    def dockerfile(self) -> Path:
        """The Dockerfile as the engine gets it."""
        return self.folder / "Dockerfile"

    def place(self, image: Reference) -> Reference:
        """Where the engine pulls an image."""
        return self.world.registries.place(image)


def make_docker(planned: PlannedLayer, world: World, access: Access) -> Trace:
    """Build and take over what was built. Raises EngineError, Unreachable, DefinitionError."""
    build = planned.build
    assert build, "no Dockerfile"
    inputs: Any = planned.inputs["inputs"]
    with world.store.local.scratch() as folder, connect(access.host, access.certificates) as engine:
        job = _Job(build, folder, inputs["platform"], engine, access, world)
        _pack(job)
        for image in {str(each): each for each in build.images.values()}.values():
            _pull(image, job)
        command = _docker_command(access.environ)
        image_id = _buildkit(job, command) if command else _classic(job)
        world.report("taking the layers out of the Docker Engine")
        made = export(engine, image_id, build.base, world, inputs["compression"])
    kept = world.store.local.keep(made.config_without(access.labels), CONFIG)
    outputs: dict[str, Json] = {"layers": [layer_to_json(layer) for layer in made.layers]}
    blobs = (kept, *(layer.descriptor for layer in made.layers))
    return Trace(planned.key, planned.inputs, outputs, blobs, {"bytes": build.size})


def _pack(job: _Job) -> None:
    """The context, with the pinned Dockerfile in the place of the user's."""
    build, name = job.build, job.build.context.dockerfile_path
    pins = {named: str(job.place(image)) for named, image in build.images.items()}
    job.dockerfile.write_bytes(pinned(build.dockerfile, pins).encode())
    files = [
        replace(file, source=job.dockerfile, kind="file") if file.path == name else file
        for file in build.files
    ]
    with job.pack.open("wb") as stream:
        write_pack(files, stream)
    if context_inputs(build.files) != build.inputs["context"]:
        facts = {"folder": build.context.path}
        hint = "wait until nothing writes there, and build again"
        raise DefinitionError("the build context changed while it was read", facts=facts, hint=hint)


def _pull(image: Reference, job: _Job) -> None:
    """Have an image in the engine: by our own credentials, wherever the engine would look for its own."""
    from docker.errors import APIError

    place = job.place(image)
    found = job.access.credentials(place.registry)
    login = {"username": found.username, "password": found.password} if found else None
    if found and found.identity_token:
        login = {"identitytoken": found.identity_token}
    facts: dict[str, object] = {"image": image, **({"mirror": place} if place != image else {})}
    with engine_errors("pull a base image", facts):
        try:
            job.engine.images.pull(
                place.name, tag=str(place.digest), platform=job.platform, auth_config=login
            )
        except APIError as error:
            raise EngineError(
                "the Docker Engine cannot pull a base image",
                facts=facts | {"reason": error.explanation},
                hint="`docker login` to its registry, or tell the engine that it speaks plain HTTP",
            ) from error


def _classic(job: _Job) -> str:
    """The image's id, by the engine's own builder."""
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    image_id = ""
    with (
        job.pack.open("rb") as context,
        engine_errors("build the image", {"file": job.build.dockerfile.path}),
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
            _hear(event.get("stream", "").splitlines(), lines, job.world.report)
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
    told = job.folder / "image-id"
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
            _hear(process.stdout or (), lines, job.world.report)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        with engine_errors("build the image", {"file": job.build.dockerfile.path}):
            job.engine.ping()  # where it is gone, the Dockerfile is not to blame
        raise failure(job.build, lines, lines[-1] if lines else f"exit code {process.returncode}")
    return told.read_text().strip()


def _laid_out(job: _Job) -> Path:
    """The packed context as a folder: in an archive, BuildKit hides nothing from `COPY`."""
    import tarfile

    folder = job.folder / "context"
    with tarfile.open(job.pack) as tar:
        tar.extractall(folder, filter="fully_trusted")  # packed here; the filters change modes
    context = job.build.context
    names = (re.sub(r"[*?\[\\]", r"\\\g<0>", name) for name in hidden(context.path, context.dockerfile_path))
    job.dockerfile.with_name(f"{job.dockerfile.name}{IGNORE}").write_text("\n".join(names))
    return folder


def _options(job: _Job) -> Iterator[str]:
    yield from ("--file", str(job.dockerfile), "--platform", job.platform)
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

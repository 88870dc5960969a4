#!/usr/bin/env python3
"""Serve the sample world around a command: python tests/world/up.py [--docker] [--run CMD...]

The command sees WORLD_URL, WORLD_REGISTRY and, with --docker, DOCKER_HOST. Without a command they are
printed, and the services stay until Ctrl-C.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

if __name__ == "__main__":  # a script finds its own folder on the path, but imports start at tests/
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from world.services import ServiceDied, dockerd, push_base, registry, static
from world.tools import MissingTool, ToolFailed


@contextmanager
def world_up(world: Path, docker: bool) -> Iterator[dict[str, str]]:
    """The services of a made world; yields the variables that name them."""
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="world-")))
        made = stack.enter_context(registry(scratch / "registry"))
        variables = {"WORLD_URL": stack.enter_context(static(world)), "WORLD_REGISTRY": made.host}
        push_base(world, made.host)
        if docker:
            variables["DOCKER_HOST"] = stack.enter_context(dockerd(scratch / "docker")).url
        yield variables


def _run(command: list[str], variables: dict[str, str]) -> int:
    if command:
        return subprocess.run(command, env=os.environ | variables, check=False).returncode
    print(*(f"export {name}={value}" for name, value in variables.items()), sep="\n", flush=True)
    signal.pause()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve the sample world.")
    parser.add_argument("--world", type=Path, default=Path(".world"))
    parser.add_argument("--docker", action="store_true", help="also start a Docker daemon (as root)")
    parser.add_argument("--run", nargs=argparse.REMAINDER, default=[], metavar="CMD")
    chosen = parser.parse_args()
    if not (chosen.world / "base").is_dir():
        return _fail(f"there is no complete world in {chosen.world}\nhint: python tests/world/make.py")
    # a plain kill must end the services too
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with world_up(chosen.world, chosen.docker) as variables:
            return _run(chosen.run, variables)
    except KeyboardInterrupt:
        return 130
    except (MissingTool, ServiceDied, ToolFailed) as error:
        return _fail(str(error))


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""What every contender is asked for, and the Dockerfile by which a careful user would ask for it.

>>> print(dockerfile(Wanted("debian:12", (), ("six",), {"A": "1"}), UV, no_cache))
FROM debian:12
COPY requirements.txt /tmp/requirements.txt
RUN uv pip install --link-mode=copy --python=/usr/bin/python3 -r /tmp/requirements.txt
ENV A="1"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_PREFIX = "/opt/env"
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment: a base reference, conda match specs, pip requirements, variables."""

    base: str
    conda: tuple[str, ...]
    pip: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def python(self) -> str:
        return f"{_PREFIX}/bin/python" if self.conda else "/usr/bin/python3"


@dataclass(frozen=True, slots=True)
class Installer:
    """A tool that installs requirements: its command before `-r FILE`, and the folder it caches in."""

    name: str
    command: str
    cache: str


UV = Installer("uv", "uv pip install --link-mode=copy --python={python}", "/root/.cache/uv")
PIP = Installer("pip", "{python} -m pip install --no-input --progress-bar=off", "/root/.cache/pip")

Mount = Callable[[str], str]
"""The option of RUN that keeps a folder between builds."""


def cache_mount(folder: str) -> str:
    return f" --mount=type=cache,target={folder}"


def no_cache(folder: str) -> str:
    """The classic builder knows no mounts."""
    del folder
    return ""


def dockerfile(wanted: Wanted, installer: Installer, mount: Mount) -> str:
    """A step for each kind of package, the one that changes least first."""
    lines = [f"FROM {wanted.base}"]
    if wanted.conda:
        specs = " ".join(f"'{spec}'" for spec in wanted.conda)
        lines += [f"ENV PATH={_PREFIX}/bin:$PATH"]
        lines += [f"RUN{mount('/root/.cache/rattler')} conda-install {_PREFIX} {specs}"]
    if wanted.pip:
        command = installer.command.format(python=wanted.python)
        lines += [f"COPY {REQUIREMENTS} /tmp/{REQUIREMENTS}"]
        lines += [f"RUN{mount(installer.cache)} {command} -r /tmp/{REQUIREMENTS}"]
    return "\n".join([*lines, *(f'ENV {name}="{value}"' for name, value in wanted.variables.items())])


def requirements(wanted: Wanted) -> str:
    return "".join(f"{line}\n" for line in wanted.pip)

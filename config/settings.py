"""Settings: `prebake.toml` (in the current folder, or named by PREBAKE_SETTINGS), then PREBAKE_* variables.

    store = "/var/lib/prebake"
    pip_index = "https://pypi.example/simple"
    [mirrors]
    "https://conda.anaconda.org/conda-forge" = "https://mirror.example/conda-forge"

A variable wins over the file: PREBAKE_STORE, PREBAKE_PIP_INDEX, PREBAKE_MIRRORS="CANONICAL=MIRROR ..."
"""

from __future__ import annotations

import functools
import os
import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FILE = "prebake.toml"


@dataclass(frozen=True, eq=False, repr=False)
class Settings:
    """Everything that is the workplace's and not the environment's."""

    store: Path = Path("~/.cache/prebake")
    """The local store; packages, layers and local prefixes live below it."""
    insecure: tuple[str, ...] = ()
    """Registries that speak plain HTTP; loopback ones do without being named."""
    mirrors: tuple[tuple[str, str], ...] = ()
    """Canonical URL prefix -> where to fetch it; locks keep the canonical one."""
    image_mirrors: tuple[tuple[str, str], ...] = ()
    """Canonical prefix of base images (`docker.io/library`) -> where to fetch them; digests stay the same."""
    docker_network: str = ""
    """Network of RUN in a Dockerfile, for instance `host`; empty means the Docker Engine's default."""
    default_channels: tuple[str, ...] = ("conda-forge",)
    """Channels of a definition that names none."""
    pip_index: str = "https://pypi.org/simple"
    pip_find_links: tuple[str, ...] = ()
    prefix: str = "/opt/prebake/env"
    """Where the environment goes in the image."""
    compression: str = "gzip"
    """`gzip`, or `zstd` where the whole fleet reads it."""
    bytecode: str = "none"
    """`none`, or `unchecked-hash`: .pyc files in the layers, for jobs that start often."""
    bins: int = 8
    """Layers that small packages of one kind (conda or pip) share."""
    outliers: int = 16
    """Layers of a single big package, per kind."""
    outlier_bytes: int = 4 << 20
    """From what archive size a package gets a layer of its own."""
    platform: str = "linux-64"
    cuda: str | None = None
    """The oldest CUDA driver version in the fleet; none means CPU packages."""
    policy: str = "locked"
    """How long a recorded solve serves: locked, always, max-age=7d."""
    jobs: int = 0
    """Layers built at a time; 0 means as many as there are cores, but two at least."""
    workspace: str = ""
    """The team's tier, read and written by builds: `HOST/REPOSITORY` of a registry, or `s3://BUCKET/PREFIX`."""
    global_: str = ""
    """The platform's tier, likewise; builds only read it, `prebake cache promote` writes it."""
    fill: str = "lazy"
    """Layers that a remote tier has are fetched when something reads them (`lazy`), or on a hit (`eager`)."""
    leases: str = ""
    """Who builds what just now: `postgresql+psycopg://...` for machines that share a tier."""
    task_network: str = ""
    """Docker network mode of a task's containers that name none; empty is a bridge of the run's own."""
    catalog: str = ""
    """Registered environments: `postgresql+psycopg://...` for a team; none means a file in the store."""
    catalogs: tuple[tuple[str, str], ...] = ()
    """Catalogs of others by the name that `azureml://registries/NAME/...` gives them; they are only read."""
    lease_expiry: int = 15
    """After how many seconds of silence its holder counts as dead; the same on machines that share leases."""
    prefect_api: str = ""
    """Prefect's API, for remote runs: `http://HOST:4200/api`; none means what PREFECT_API_URL says."""
    signing_key: Path | None = None
    """Ed25519 private key (PEM) that signs what this machine records in a remote tier."""
    workspace_writers: tuple[str, ...] = ()
    """Public keys whose traces are believed in the workspace; none means all that is there."""
    global_writers: tuple[str, ...] = ()
    """The same for the global tier."""
    images: str = ""
    """Where remote runs put images without a destination: `HOST/REPOSITORY`; none means WORKSPACE/images."""
    curated: str = ""
    """Where `prebake curated build` puts images: `HOST/REPOSITORY`, below which each has its own name."""
    curated_set: Path | None = None
    """A folder of curated definitions in place of those that come with prebake."""

    warm_targets: tuple[str, ...] = ()
    """Where jobs will run and `prebake warm` puts images: `docker:[URL]`, `oci:FOLDER`, `HOST/REPOSITORY`."""
    warm_budget: str = "20GB"
    """Bytes of images that warming may keep in each target."""
    warm_half_life: str = "12h"
    """After how long a request counts half as much for what is warmed."""
    warm_horizon: str = "1d"
    """Within how long what was warmed must be used to have been worth it."""
    auto_rebuild: str = "Disabled"
    """For environments that do not say: `Disabled`, or `OnBaseImageUpdate` to follow their base's tag."""
    smoke_test: str = "python -c 'import sys'"
    """What a rebuilt image that has a python must run before a roll-out goes on; empty for nothing."""

    @property
    def workers(self) -> int:
        """`jobs`, decided."""
        return self.jobs or max(2, len(os.sched_getaffinity(0)))


_ALLOWED = {
    "auto_rebuild": ("Disabled", "OnBaseImageUpdate"),
    "bytecode": ("none", "unchecked-hash"),
    "compression": ("gzip", "zstd"),
    "fill": ("lazy", "eager"),
    "platform": ("linux-64", "linux-aarch64"),
}
_PAIRS = {"mirrors": "CANONICAL=MIRROR", "image_mirrors": "CANONICAL=MIRROR", "catalogs": "NAME=URL"}
_PATHS = ("curated_set", "signing_key")  # none by default
_LEAST = {"bins": 1, "outliers": 0, "outlier_bytes": 1, "jobs": 0, "lease_expiry": 1}
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+@")


def load_settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings of file and variables. Raises SettingsError naming the place, what was found and allowed."""
    named = environ.get("PREBAKE_SETTINGS")
    path = Path(named) if named else folder / FILE
    found = _read(path, required=bool(named)) if named or path.exists() else {}
    settings = _apply(Settings(), {name: (value, _line(path, name)) for name, value in found.items()})
    variables = {
        name.removeprefix("PREBAKE_").lower(): (_split(name, value), name)
        for name, value in environ.items()
        if name.startswith("PREBAKE_") and name != "PREBAKE_SETTINGS"
    }
    return _normal(_apply(settings, variables), folder)


def _read(path: Path, *, required: bool) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        assert required
        hint = "correct PREBAKE_SETTINGS"
        raise SettingsError("the settings file does not exist", facts={"file": path}, hint=hint) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        facts: dict[str, object] = {"file": path, "reason": error}
        hint = 'write `name = "value"` in each line'
        raise SettingsError("the settings file is not TOML", facts=facts, hint=hint) from error
    except OSError as error:
        told = {"file": path, "reason": error.strerror}
        hint = "make it a file that this user may read"
        raise SettingsError("the settings file cannot be read", facts=told, hint=hint) from error


def _line(path: Path, name: str) -> str:
    """`FILE:LINE` where a setting stands; TOML's reader does not tell."""
    key = re.compile(rf"""[\s\["']*{re.escape(name)}\b""")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if key.match(line):
            return f"{path}:{number}"
    return str(path)


def _apply(settings: Settings, found: Mapping[str, tuple[Any, str]]) -> Settings:
    # `global` is a word of Python's own, so its field ends in an underscore
    known = {field.name.rstrip("_"): field.name for field in fields(settings)}
    for name, (value, where) in found.items():
        if name not in known:
            raise _unknown(name, where, tuple(known))
        field = known[name]
        settings = replace(settings, **{field: _typed(name, value, getattr(settings, field), where)})
    return settings


def _unknown(name: str, where: str, known: tuple[str, ...]) -> SettingsError:
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean `{near[0]}`?" if near else "remove it"
    facts = {"where": where, "allowed": ", ".join(known)}
    return SettingsError(f"`{name}` is not a setting", facts=facts, hint=hint)


def _split(name: str, value: str) -> Any:
    """Variables hold text; lists are separated by white space, pairs are NAME=VALUE."""
    field = name.removeprefix("PREBAKE_").lower()
    default = getattr(Settings, field, "")
    if not isinstance(default, tuple):
        return value
    items = value.split()
    if field not in _PAIRS:
        return items
    return dict(item.split("=", 1) for item in items) if all("=" in item for item in items) else value


def _typed(name: str, value: Any, default: Any, where: str) -> Any:
    allowed, read = _reader(name, default)
    try:
        return read(value)
    except (TypeError, ValueError) as error:
        found = _USER_INFO.sub("***@", str(value))
        facts = {"where": where, "found": found, "allowed": allowed}
        usual = " ".join(default) if isinstance(default, tuple) else default
        hint = f"the default is {usual}" if usual else "leave it out, or correct it"
        raise SettingsError(f"the setting `{name}` is wrong", facts=facts, hint=hint) from error


def _reader(name: str, default: Any) -> tuple[str, Callable[[Any], Any]]:
    """What a setting may be, in words and as a function that raises TypeError or ValueError."""
    if name in _ALLOWED:
        return ", ".join(_ALLOWED[name]), functools.partial(_one_of, _ALLOWED[name])
    if name in _PAIRS:
        return f"{_PAIRS[name]}, or a table of such in the file", _pairs
    if isinstance(default, tuple):
        return "a list of texts", _texts
    if name in _PATHS:
        return "a path", Path
    if isinstance(default, int):
        least = _LEAST.get(name, 0)
        return f"a whole number, {least} or more", functools.partial(_number, least)
    return ("a path", Path) if isinstance(default, Path) else ("a text", _text)


def _one_of(allowed: tuple[str, ...], value: Any) -> str:
    if value not in allowed:
        raise ValueError(value)
    return str(value)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or not all(value.values()):
        raise TypeError(value)
    return tuple((_text(canonical), _text(mirror)) for canonical, mirror in value.items())


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(value)
    return tuple(_text(item) for item in value)


def _text(value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise TypeError(value)
    return str(value)


def _number(least: int, value: Any) -> int:
    if isinstance(value, bool | float) or int(value) < least:
        raise ValueError(value)
    return int(value)


def _normal(settings: Settings, folder: Path) -> Settings:
    store = folder / settings.store.expanduser()
    paths = {name: folder / path.expanduser() for name in _PATHS if (path := getattr(settings, name))}
    return replace(settings, store=store, prefix="/" + settings.prefix.strip("/"), **paths)

"""Settings: `prebake.toml` (in the current folder, or named by PREBAKE_SETTINGS), then PREBAKE_* variables.

    store = "/var/lib/prebake"
    pip_index = "https://pypi.example/simple"
    [mirrors]
    "https://conda.anaconda.org/conda-forge" = "https://mirror.example/conda-forge"

A variable wins over the file: PREBAKE_STORE, PREBAKE_PIP_INDEX, PREBAKE_MIRRORS="CANONICAL=MIRROR ..."
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "prebake.toml"


@dataclass(frozen=True)
class Settings:
    """Everything that is the workplace's and not the environment's."""

    store: Path = Path("~/.cache/prebake")
    """The local store; packages, layers and local prefixes live below it."""
    insecure: tuple[str, ...] = ()
    """Registries that speak plain HTTP; loopback ones do without being named."""
    mirrors: tuple[tuple[str, str], ...] = ()
    """Canonical URL prefix -> where to fetch it; locks keep the canonical one."""
    default_channels: tuple[str, ...] = ("conda-forge",)
    """Channels of a definition that names none."""
    pip_index: str = "https://pypi.org/simple"
    pip_find_links: tuple[str, ...] = ()
    prefix: str = "/opt/prebake/env"
    """Where the environment goes in the image."""
    compression: str = "gzip"
    """`gzip`, or `zstd` where the whole fleet reads it."""
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
    """Layers built at a time; 0 means one more than there are cores."""

    @property
    def workers(self) -> int:
        """`jobs`, decided."""
        return self.jobs or (os.cpu_count() or 1) + 1


_ALLOWED = {"compression": ("gzip", "zstd"), "platform": ("linux-64", "linux-aarch64")}


def load_settings(environ: Mapping[str, str], folder: Path) -> Settings:
    """Settings of file and variables. Raises SettingsError naming the place, what was found and allowed."""
    named = environ.get("PREBAKE_SETTINGS")
    path = Path(named) if named else folder / FILE
    found = _read(path, required=bool(named)) if named or path.exists() else {}
    settings = _apply(Settings(), {name: (value, str(path)) for name, value in found.items()})
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
        facts = {"file": path, "reason": error}
        raise SettingsError("the settings file is not TOML", facts=facts) from error


def _apply(settings: Settings, found: Mapping[str, tuple[Any, str]]) -> Settings:
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}
    for name, (value, where) in found.items():
        if name not in known:
            allowed = ", ".join(known)
            raise SettingsError(f"`{name}` is not a setting", facts={"where": where, "allowed": allowed})
        settings = replace(settings, **{name: _typed(name, value, known[name], where)})
    return settings


def _split(name: str, value: str) -> Any:
    """Variables hold text; lists are separated by white space, mirrors are CANONICAL=MIRROR."""
    default = getattr(Settings, name.removeprefix("PREBAKE_").lower(), "")
    if not isinstance(default, tuple):
        return value
    items = value.split()
    return dict(item.split("=", 1) for item in items if "=" in item) if name == "PREBAKE_MIRRORS" else items


def _typed(name: str, value: Any, default: Any, where: str) -> Any:
    try:
        if isinstance(default, Path):
            return Path(value)
        if isinstance(default, tuple):
            return tuple(value.items()) if isinstance(value, dict) else tuple(map(str, value))
        if isinstance(default, int):
            return int(value)
        text = str(value)
    except (TypeError, ValueError) as error:
        kind = type(default).__name__
        facts = {"where": where, "found": value, "allowed": kind}
        raise SettingsError(f"the setting `{name}` is wrong", facts=facts) from error
    if text not in _ALLOWED.get(name, (text,)):
        facts = {"where": where, "found": text, "allowed": ", ".join(_ALLOWED[name])}
        raise SettingsError(f"the setting `{name}` is wrong", facts=facts)
    return text


def _normal(settings: Settings, folder: Path) -> Settings:
    store = folder / settings.store.expanduser()
    return replace(settings, store=store, prefix="/" + settings.prefix.strip("/"))

"""How an environment of a catalog is named: Azure ML's references, with and without their prefixes.

>>> parse("azureml:vision:3")
Reference(name='vision', version='3', label=None, registry=None)
>>> parse("azureml://registries/shared/environments/vision/labels/prod")
Reference(name='vision', version=None, label='prod', registry='shared')
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import SettingsError

ANONYMOUS = "CliV2AnonymousEnvironment"
"""The name that all anonymous environments share; Azure ML's."""
LATEST = "latest"
_FORMS = "NAME, NAME:VERSION, NAME@LABEL, azureml:..., azureml://registries/R/environments/NAME/versions/V"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}"
_VERSION = r"[^\s:@/]{1,255}"
_SHORT = re.compile(
    rf"(?:azureml:)?(?P<name>{_NAME})(?::(?P<version>{_VERSION})|@(?P<label>{_NAME}))?", re.ASCII
)
# One slash is what is left of two in a path of a command line.
_LONG = re.compile(
    rf"azureml://?registries/(?P<registry>{_NAME})/environments/(?P<name>{_NAME})"
    rf"(?:/versions/(?P<version>{_VERSION})|/labels/(?P<label>{_NAME}))?",
    re.ASCII,
)
_RESERVED = ("azureml", "microsoft")


@dataclass(frozen=True)
class Reference:
    """A name with a version, a label or neither, which means `@latest`."""

    name: str
    version: str | None = None
    label: str | None = None
    registry: str | None = None

    def __str__(self) -> str:
        end = f":{self.version}" if self.version else f"@{self.label}" if self.label else ""
        return f"{self.name}{end}"


def looks_like(text: str) -> bool:
    """Whether a text that names no file can only be meant as a reference: it has a version or a label."""
    match = _LONG.fullmatch(text) or _SHORT.fullmatch(text)
    return bool(match and (match["version"] or match["label"]))


def parse(text: str) -> Reference:
    """Read a reference. Raises SettingsError."""
    match = _LONG.fullmatch(text) or _SHORT.fullmatch(text)
    if match is None:
        raise SettingsError(
            f"`{text}` names no environment", facts={"allowed": _FORMS}, hint="write one of these"
        )
    return Reference(**match.groupdict())


def check_name(name: str) -> None:
    """Refuse a name that cannot be registered: Azure ML's letters, length and reserved prefixes."""
    if name.lower().startswith(_RESERVED) or name == ANONYMOUS:
        raise SettingsError(
            f"the name `{name}` is reserved",
            facts={"reserved": f"AzureML..., Microsoft..., {ANONYMOUS}"},
            hint="choose another name",
        )
    if not re.fullmatch(_NAME, name, re.ASCII):
        raise _impossible(
            "name", name, "1 to 255 letters, digits, `_`, `.` or `-`, the first a letter or digit"
        )


def check_version(version: str) -> None:
    """Refuse a version that no reference could hold."""
    if not re.fullmatch(_VERSION, version):
        raise _impossible("version", version, "1 to 255 characters without white space, `:`, `@` and `/`")


def check_label(label: str) -> None:
    """Refuse a label that no reference could hold, and the one that moves by itself."""
    if label == LATEST:
        hint = "it is always the version registered last; choose another label"
        raise SettingsError(f"the label `{LATEST}` is moved by the catalog alone", hint=hint)
    if not re.fullmatch(_NAME, label, re.ASCII):
        raise _impossible("label", label, "1 to 255 letters, digits, `_`, `.` or `-`")


def _impossible(noun: str, text: str, allowed: str) -> SettingsError:
    found = text if len(text) <= 80 else f"{text[:80]}... ({len(text)} characters)"
    return SettingsError(
        f"this cannot be the {noun} of an environment",
        facts={"found": found or "nothing", "allowed": allowed},
        hint="choose another",
    )

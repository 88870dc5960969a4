"""Wheels as conda packages: pure ones `noarch: python`, others for linux-64 and Python 3.11.

>>> match_spec('numpy>=1.26; python_version >= "3.9"')
'numpy >=1.26'
>>> match_spec("tzdata~=2024.1")
'python-tzdata >=2024.1,<2025.0a0'
"""

import base64
import configparser
import csv
import io
import os
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email.message import Message
from email.parser import Parser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import Specifier
from packaging.utils import canonicalize_name, parse_wheel_filename

from world.conda_package import PLACEHOLDER, Entry, Package
from world.digests import sha256
from world.native import PYTHON, SITE_PACKAGES

_CONDA_NAMES = {"msgpack": "msgpack-python", "torch": "pytorch", "tzdata": "python-tzdata"}
_TARGET = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.11.2",
    "python_version": PYTHON,
    "sys_platform": "linux",
    "extra": "",
}


@dataclass(frozen=True)
class _Layout:
    """Where an installer would put the wheel's parts."""

    site: str
    scripts: str

    def path(self, name: str, data_folder: str) -> str:
        if not name.startswith(data_folder):
            return f"{self.site}/{name}"
        kind, rest = name.removeprefix(data_folder).split("/", 1)
        headers = f"include/python{PYTHON}"
        roots = {"purelib": self.site, "platlib": self.site, "scripts": self.scripts, "headers": headers}
        return f"{roots[kind]}/{rest}" if kind in roots else rest


_PURE = _Layout("site-packages", "python-scripts")
_BINARY = _Layout(SITE_PACKAGES, "bin")
_BINARY_DEPENDS = ["libgcc", "libstdcxx", "python >=3.11,<3.12.0a0", "python_abi 3.11.* *_cp311"]


def wheel_package(path: Path) -> Package:
    name, version, _, tags = parse_wheel_filename(path.name)
    pure = all(tag.platform == "any" for tag in tags)
    layout = _PURE if pure else _BINARY
    with zipfile.ZipFile(path) as wheel:
        info = next(n.split("/")[0] for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(wheel.read(f"{info}/METADATA").decode())
        entry_points = _entry_points(wheel, f"{info}/entry_points.txt")
        entries = list(_entries(wheel, info, layout))
    if not pure:
        entries += [_launcher(entry_point) for entry_point in entry_points]
    entries += _installed(entries, layout.site, info)
    package = Package(
        _conda_name(name), str(version), entries, _depends(metadata), license=_license(metadata)
    )
    if pure:
        depends = [_python_requirement(metadata), *package.depends]
        return replace(
            package, noarch="python", build_prefix="py", depends=depends, entry_points=entry_points
        )
    depends = [_glibc(tag.platform for tag in tags), *_BINARY_DEPENDS, *package.depends]
    return replace(package, build_prefix="py311", depends=depends)


def match_spec(requirement: str) -> str | None:
    """PEP 508 to conda's language; None if it is not for this platform."""
    parsed = Requirement(requirement)
    if parsed.marker and not parsed.marker.evaluate(_TARGET):
        return None
    bounds = [bound for specifier in sorted(parsed.specifier, key=str) for bound in _bounds(specifier)]
    return f"{_conda_name(parsed.name)} {','.join(bounds)}".strip()


def _bounds(specifier: Specifier) -> list[str]:
    operator, version = specifier.operator, specifier.version
    if operator == "~=":
        *head, last = map(int, version.split(".")[:-1])
        return [f">={version}", f"<{'.'.join(map(str, [*head, last + 1]))}.0a0"]
    if operator == "==" and version.endswith(".*"):
        return [version]
    return [f"{operator}{version}"]


def _depends(metadata: Message) -> list[str]:
    specs = map(match_spec, metadata.get_all("Requires-Dist", []))
    return sorted({spec for spec in specs if spec})


def _python_requirement(metadata: Message) -> str:
    required = metadata.get("Requires-Python", ">=3.8").replace(" ", "").split(",")
    return "python " + ",".join(bound for bound in required if not bound.startswith("!="))


def _license(metadata: Message) -> str:
    text: str = metadata.get("License-Expression") or metadata.get("License") or "NOASSERTION"
    return text.splitlines()[0][:60]


def _conda_name(project: str) -> str:
    name = canonicalize_name(project)
    return _CONDA_NAMES.get(name, name)


def _glibc(platforms: Iterable[str]) -> str:
    minors = [int(minor) for platform in platforms for minor in re.findall(r"manylinux_2_(\d+)", platform)]
    return f"__glibc >=2.{max(minors, default=17)},<3.0.a0"


def _entries(wheel: zipfile.ZipFile, info: str, layout: _Layout) -> Iterator[Entry]:
    data_folder = info.removesuffix(".dist-info") + ".data/"
    for member in wheel.infolist():
        if member.is_dir() or member.filename == f"{info}/RECORD":
            continue
        path = layout.path(member.filename, data_folder)
        entry = Entry(path, wheel.read(member), executable=bool(member.external_attr >> 16 & 0o111))
        yield _script(entry) if path.startswith(f"{layout.scripts}/") else entry


def _script(entry: Entry) -> Entry:
    if not entry.data.startswith(b"#!python"):
        return replace(entry, executable=True)
    text = f"#!{PLACEHOLDER}/bin/python".encode() + entry.data.removeprefix(b"#!python")
    return replace(entry, data=text, executable=True, placeholder="text")


def _entry_points(wheel: zipfile.ZipFile, name: str) -> list[str]:
    if name not in wheel.namelist():
        return []
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # command names are case sensitive
    parser.read_string(wheel.read(name).decode())
    sections = [parser[section] for section in ("console_scripts", "gui_scripts") if section in parser]
    pairs = [pair for section in sections for pair in section.items()]
    return [f"{command} = {target.split('[')[0].strip()}" for command, target in pairs]


def _launcher(entry_point: str) -> Entry:
    """What the installer generates for noarch packages, and the build for others."""
    command, target = entry_point.split(" = ")
    module, function = target.split(":")
    text = (
        f"#!{PLACEHOLDER}/bin/python\nimport sys\nfrom {module} import {function.split('.')[0]}\n"
        f"if __name__ == '__main__':\n    sys.exit({function}())\n"
    )
    return Entry(f"bin/{command}", text.encode(), executable=True, placeholder="text")


def _installed(entries: list[Entry], site: str, info: str) -> list[Entry]:
    """INSTALLER and RECORD, as an installer leaves them."""
    installer = Entry(f"{site}/{info}/INSTALLER", b"conda\n")
    listed = sorted([*entries, installer], key=lambda entry: entry.path)
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerows([os.path.relpath(entry.path, site), *_recorded(entry)] for entry in listed)
    rows.writerow([f"{info}/RECORD", "", ""])
    return [installer, Entry(f"{site}/{info}/RECORD", buffer.getvalue().encode())]


def _recorded(entry: Entry) -> tuple[str, str]:
    if entry.placeholder:  # the content changes at installation
        return "", ""
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256(entry.data))).rstrip(b"=").decode()
    return f"sha256={digest}", str(len(entry.data))

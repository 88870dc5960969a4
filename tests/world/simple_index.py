"""The package index: static PEP 503 pages beside the files they link to."""

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from packaging.utils import canonicalize_name, parse_wheel_filename

from world import downloads
from world.digests import sha256_file
from world.downloads import Pin

WHEELS = Path(__file__).with_name("pip-wheels.txt")
SDISTS = Path(__file__).with_name("pip-sdists.txt")
_TORCH = "torch-*+cpu-cp311-cp311-*.whl"


def build_index(folder: Path, cache: Path) -> dict[str, Any]:
    files = folder / "files"
    files.mkdir(parents=True)
    links: dict[str, list[str]] = defaultdict(list)
    sources = _sources(cache / "pypi")
    for pin, path in sources:
        _place(path, files / path.name)
        # a local version's plus sign must not be read as a space
        target = f"../../files/{quote(path.name)}#sha256={pin.sha256}"
        links[canonicalize_name(pin.name)].append(f'<a href="{target}">{path.name}</a>')
    for project, anchors in links.items():
        _write_page(folder / "simple" / project, sorted(anchors))
    _write_page(folder / "simple", [f'<a href="{name}/">{name}</a>' for name in sorted(links)])
    torch_version = next((pin.version for pin, _ in sources if pin.name == "torch"), None)
    return {"projects": len(links), "files": len(sources), "torch": torch_version}


def _sources(cache: Path) -> list[tuple[Pin, Path]]:
    wheels, sdists = downloads.read_pins(WHEELS), downloads.read_pins(SDISTS)
    paths = [*downloads.wheels(wheels, cache), *downloads.sdists(sdists, cache)]
    return [*zip([*wheels, *sdists], paths, strict=True), *_torch()]


def _torch() -> list[tuple[Pin, Path]]:
    """200 MB that are used if someone put them on this machine, and never downloaded."""
    found = [path for place in _find_links() for path in Path(place).glob(_TORCH)]
    return [(Pin("torch", _version(path), sha256_file(path)), path) for path in sorted(found)[-1:]]


def _find_links() -> list[str]:
    if "PIP_FIND_LINKS" in os.environ:
        return os.environ["PIP_FIND_LINKS"].split()
    asked = [sys.executable, "-m", "pip", "config", "get", "global.find-links"]
    # pip answers an unset key with an error
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()


def _version(wheel: Path) -> str:
    return str(parse_wheel_filename(wheel.name)[1])


def _place(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another filesystem, or one without hard links
        shutil.copyfile(source, target)


def _write_page(folder: Path, anchors: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = "<br>\n".join(anchors)
    head = '<!DOCTYPE html>\n<meta name="pypi:repository-version" content="1.0">\n'
    (folder / "index.html").write_text(f"{head}{lines}\n")

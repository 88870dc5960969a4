"""As much of conda's command line as `conda-lock lock --conda` calls; rattler solves. The tests' oracle.

python conda_shim.py create --prefix P --dry-run --json --channel C SPEC...
"""

import asyncio
import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rattler import BuildString, GenericVirtualPackage, PackageName, RepoDataRecord, Version, solve


def virtual_packages(channel: str, subdir: str) -> list[GenericVirtualPackage]:
    """conda-lock hands them over as a channel of records whose names begin with `__`."""
    path = Path(urlsplit(channel).path, subdir, "repodata.json")
    records = json.loads(path.read_text())["packages"].values() if path.is_file() else []
    return [
        GenericVirtualPackage(
            PackageName(record["name"]),
            Version(record["version"]),
            BuildString(record["build_string"] or "0"),
        )
        for record in records
        if record["name"].startswith("__")
    ]


def action(record: RepoDataRecord) -> dict[str, Any]:
    assert record.md5
    assert record.sha256
    return {
        "name": record.name.normalized, "version": str(record.version), "channel": record.channel,
        "url": record.url, "fn": record.file_name, "md5": record.md5.hex(), "sha256": record.sha256.hex(),
        "depends": record.depends, "constrains": record.constrains, "subdir": record.subdir, "timestamp": 0,
    }  # fmt: skip


def create(arguments: list[str]) -> dict[str, Any]:
    valued = {"--prefix", "--channel", "--file"}
    pairs = list(itertools.pairwise(["", *arguments]))
    channels = [word for before, word in pairs if before == "--channel"]
    specs = [word for before, word in pairs if not word.startswith("-") and before not in valued]
    subdir = os.environ["CONDA_SUBDIR"]
    offers = {channel: virtual_packages(channel, subdir) for channel in channels}
    real = [channel for channel, found in offers.items() if not found]
    virtual = [offer for found in offers.values() for offer in found]
    found = asyncio.run(solve(real, specs, platforms=[subdir, "noarch"], virtual_packages=virtual))
    return {"success": True, "actions": {"FETCH": [action(record) for record in found], "LINK": [
        {"name": record.name.normalized, "dist_name": record.file_name, "version": str(record.version)}
        for record in found
    ]}}  # fmt: skip


if sys.argv[1] == "--version":
    print("conda 26.1.0")
elif sys.argv[1] == "info":
    print(json.dumps({"pkgs_dirs": [os.environ.get("CONDA_PKGS_DIRS", "/nonexistent")]}))
else:
    print(json.dumps(create(sys.argv[2:])), flush=True)
    os._exit(0)  # a thread of rattler's may abort a process that ends as usual

"""What a small change costs: whole processes (`prebake build FILE --to REF --json`), push included.

    python tests/world/up.py --run python tests/bench/steps.py [ROUNDS]

Each round of each case starts from the store and the repository as a cold build left them (a copy of hard
links, a repository of its own), so that every change is one that nobody has built before.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

URL, REGISTRY = os.environ["WORLD_URL"], os.environ["WORLD_REGISTRY"]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
BASE = f"{REGISTRY}/moving:base"
PIP = ("numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "torch")
SMALL_PIP = ("tabulate", "colorama", "six", "pyjokes", "tqdm", "more-itertools", "wrapt", "regex")
SMALL_CONDA = ("pyyaml", "certifi", "idna", "cloudpickle", "narwhals", "charset-normalizer", "packaging")


def environment(conda: tuple[str, ...] = (), pip: tuple[str, ...] = PIP, threads: int = 2) -> str:
    """The definition: python and pip from conda, the rest from pip."""
    dependencies: list[Any] = ["python=3.11", "pip", *conda, {"pip": [*pip]}]
    return json.dumps(  # JSON is YAML
        {
            "image": BASE,
            "conda_file": {"channels": ["conda-forge"], "dependencies": dependencies},
            "environment_variables": {"OMP_NUM_THREADS": str(threads)},
        }
    )


@dataclass(frozen=True)
class Case:
    """A change by round: what the file says then, what else happens first, and where it starts from."""

    name: str
    changed: Callable[[int], str]
    happens: Callable[[int], None] = field(default=lambda round_: None)
    start: str = environment()


def cases() -> list[Case]:
    """The rows of the table."""
    rest = ("matplotlib", "torch")
    return [
        Case("nothing changed", lambda round_: environment()),
        Case("environment variable", lambda round_: environment(threads=3 + round_)),
        Case("base patched", lambda round_: environment(), patch_base),
        Case("+1 small pip package", lambda round_: environment(pip=(*PIP, _of(SMALL_PIP, round_)))),
        Case("+1 small conda package", lambda round_: environment((_of(SMALL_CONDA, round_),))),
        Case(
            "pandas 2.1.4 -> 3.1.1 (conda)",
            lambda round_: environment(("pandas=3.1.1",), rest),
            start=environment(("pandas=2.1.4",), rest),
        ),
    ]


def _of(names: tuple[str, ...], round_: int) -> str:
    return names[round_ % len(names)]


def move_base() -> None:
    """The tag is debian:12 again."""
    copy = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", "--src-tls-verify=false"]
    for name, to in (("debian:12-patched", f"{REGISTRY}/moving:patched"), ("debian:12", BASE)):
        command = ["skopeo", "--insecure-policy", *copy, f"docker://{REGISTRY}/{name}", f"docker://{to}"]
        subprocess.run(command, check=True)


def patch_base(round_: int) -> None:
    """The tag moves to debian:12-patched (a layer more), by a digest that nobody has seen."""
    manifests = f"http://{REGISTRY}/v2/moving/manifests"
    asked = urllib.request.Request(f"{manifests}/patched", headers={"Accept": MANIFEST})
    with urllib.request.urlopen(asked) as answer:
        manifest = json.load(answer)
    manifest["annotations"] = {"round": f"{round_} {time.time()}"}
    data, headers = json.dumps(manifest).encode(), {"Content-Type": MANIFEST}
    put = urllib.request.Request(f"{manifests}/base", data=data, headers=headers, method="PUT")
    urllib.request.urlopen(put).close()


@dataclass(frozen=True)
class Build:
    """One process: its seconds, its and its children's CPU seconds, and what it says."""

    seconds: float
    cpu: float
    said: dict[str, Any]


def build(folder: Path, text: str, to: str, **settings: str) -> Build:
    """Build `text` in `folder`, with the store there."""
    (folder / "env.yml").write_text(text)
    environ = dict(os.environ) | {
        "PREBAKE_STORE": str(folder / "store"),
        "PREBAKE_MIRRORS": f"https://conda.anaconda.org/conda-forge={URL}/channel",
        "PREBAKE_PIP_INDEX": f"{URL}/index/simple",
        **settings,
    }
    environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it
    command = [str(Path(sys.executable).with_name("prebake")), "build", "env.yml", "--json"]
    before, start = _cpu(), time.perf_counter()
    run = subprocess.run(
        [*command, "--to", f"{REGISTRY}/{to}:latest"],
        cwd=folder, env=environ, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return Build(time.perf_counter() - start, _cpu() - before, json.loads(run.stdout))


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(case: Case, rounds: int, scratch: Path) -> list[Build]:
    """The builds after the change, one per round."""
    move_base()
    cold, name = scratch / "cold", case.name.split(" ")[0].strip("+") + str(time.time_ns())
    cold.mkdir()
    build(cold, case.start, f"{name}-cold")
    builds = []
    for round_ in range(rounds):
        move_base()
        folder = scratch / "round"
        shutil.copytree(cold, folder, copy_function=os.link, ignore=shutil.ignore_patterns("leases.db*"))
        (folder / "env.yml").unlink()
        build(folder, case.start, f"{name}-{round_}")
        case.happens(round_)
        builds.append(build(folder, case.changed(round_), f"{name}-{round_}"))
        shutil.rmtree(folder)
    shutil.rmtree(cold)
    return builds


def second_team(rounds: int, scratch: Path) -> list[Build]:
    """Another repository and another machine's store; the workspace is in the registry."""
    move_base()
    name, builds = f"team{time.time_ns()}", []
    workspace = {"PREBAKE_WORKSPACE": f"{REGISTRY}/{name}-workspace"}
    for round_ in range(rounds + 1):
        folder = scratch / "team"
        folder.mkdir()
        builds.append(build(folder, environment(), f"{name}-{round_}", **workspace))
        shutil.rmtree(folder)
    return builds[1:]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"median [least - most] of {rounds}\n")
    print("| case | seconds | CPU seconds | layers made | bytes pushed |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as name:
        for case in cases():
            _print(case.name, measure(case, rounds, Path(name)))
        _print("second team, new machine", second_team(rounds, Path(name)))


def _print(name: str, builds: list[Build]) -> None:
    made = [sum(layer["outcome"] == "built" for layer in each.said["layers"]) for each in builds]
    cells = [
        _range([each.seconds for each in builds]),
        _range([each.cpu for each in builds]),
        f"{statistics.median(made):.0f}",
        f"{statistics.median(each.said['bytes_pushed'] for each in builds):,.0f}",
    ]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _range(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.3f} [{min(seconds):.3f} - {max(seconds):.3f}]"


if __name__ == "__main__":
    main()

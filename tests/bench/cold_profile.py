"""Where the time of a cold build goes, beside what its bytes cost at least; and where that of a hit goes.

    PYTHONPATH=tests python tests/world/up.py --run python -m bench.cold_profile

The large environment of `versus`. The floor is SHA-256 of all layers, as they are and unpacked, on one core,
and a write of the packed ones to disk: what no builder of the same image can spare.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from isal import igzip

from bench import report
from bench.settings import sources
from bench.workloads import workloads
from prebake.cache.digest import Hasher

ROUNDS, WATCHED, HITS = 5, 3, 20
HEADER = ("cold build of the large environment", "s")
HIT_HEADER = ("hit, whole process", "ms")
_CHUNK = 1 << 20
_FIRST, _LAST = "start, imports, definition", "rest: plan, waits between"


@dataclass
class Measured:
    """Seconds of each round, by name."""

    floor: dict[str, list[float]] = field(default_factory=dict)
    whole: dict[str, list[float]] = field(default_factory=dict)
    phases: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """A folder and a definition; stores stay to the end: where files were deleted just now, ext4 is slow."""

    folder: Path
    file: Path

    def store(self, name: str) -> Path:
        return self.folder / name

    def environ(self, store: Path) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREBAKE_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # as a user has it
        return kept | sources(os.environ["WORLD_URL"]) | {"PREBAKE_STORE": str(store)}

    def run(self, store: Path, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], env=self.environ(store), check=True, stdout=subprocess.PIPE
        )
        return done.stdout.decode().strip().rpartition("\n")[2]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="cold-") as name:
        bench = _bench(Path(name))
        cold = list(_cold_rows(_measure(bench)))
        hits = list(_hit_rows(_hits(bench)))
    report.write_csv("cold-profile", HEADER, cold)
    report.write_csv("hit-profile", HIT_HEADER, hits)
    report.paste("profile", f"{report.table(HEADER, cold)}\n{report.table(HIT_HEADER, hits)}")


def _bench(folder: Path) -> Bench:
    wanted = next(each.wanted for each in workloads(Path(".world")) if each.name == "large")
    dependencies = [*wanted.conda, {"pip": list(wanted.pip)}]
    definition = {
        "image": f"{os.environ['WORLD_REGISTRY']}/debian:12",
        "conda_file": {"channels": ["conda-forge"], "dependencies": dependencies},
        "environment_variables": dict(wanted.variables),
    }
    file = folder / "large.json"  # JSON is YAML
    file.write_text(json.dumps(definition))
    return Bench(folder, file)


def _measure(bench: Bench) -> Measured:
    """Builds and floor alternate; each build has a store and a repository of its own."""
    found = Measured()
    for number in range(ROUNDS):
        store = bench.store(f"cold-{number}")
        _add(found.whole, _build(bench, store, f"cold-{number}"))
        _add(found.floor, _floor(store, bench.folder / "floor"))
        if number < WATCHED:
            phases, cpu = _watched(bench, f"watched-{number}")
            _add(found.phases, phases)
            _add(found.cpu, cpu)
    return found


def _add(to: dict[str, list[float]], found: Mapping[str, float]) -> None:
    for name, seconds in found.items():
        to.setdefault(name, []).append(seconds)


def _build(bench: Bench, store: Path, repository: str) -> dict[str, float]:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    bench.run(store, "-m", "prebake.cli", "build", str(bench.file), "--to", _to(repository), "-q")
    seconds, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cold build": seconds, "its CPU": cpu}


def _to(repository: str) -> str:
    return f"{os.environ['WORLD_REGISTRY']}/{repository}:latest"


def _floor(store: Path, target: Path) -> dict[str, float]:
    hashing = writing = 0.0
    hasher = Hasher()
    with target.open("wb", buffering=0) as stream:
        for layer in _layers(store):
            for chunk in _chunks(layer):
                start = time.perf_counter()
                hasher.update(chunk)
                between = time.perf_counter()
                stream.write(chunk)
                hashing, writing = hashing + between - start, writing + time.perf_counter() - between
            hashing += sum(map(_hashed, _unpacked(layer)))
        start = time.perf_counter()
        os.fsync(stream.fileno())
    return {"SHA-256": hashing, "write, fsync": writing + time.perf_counter() - start}


def _hashed(chunk: bytes) -> float:
    hasher, start = Hasher(), time.perf_counter()
    hasher.update(chunk)
    return time.perf_counter() - start


def _layers(store: Path) -> list[Path]:
    """The image's own layers in the store of a cold build: all gzip files of it."""
    blobs = sorted((store / "blobs" / "sha256").iterdir())
    return [blob for blob in blobs if next(_chunks(blob), b"").startswith(b"\x1f\x8b")]


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _unpacked(path: Path) -> Iterator[bytes]:
    with igzip.open(path) as stream:
        yield from iter(lambda: stream.read(_CHUNK), b"")


def _watched(bench: Bench, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Wall seconds by phase, one after the other; CPU seconds by kind."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = ("-m", "bench.inside", "build", str(bench.file), _to(name))
    inside = json.loads(bench.run(bench.store(name), *command))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    kernel, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    rest = user - sum(inside["cpu"].values())
    return _phases(inside["pieces"], inside["end"]), inside["cpu"] | {
        "kernel: files, network": kernel,
        "rest: Python, rattler, uv": rest,
    }


def _phases(pieces: Sequence[tuple[str, float, float]], end: float) -> dict[str, float]:
    spans: dict[str, tuple[float, float]] = {}
    for title, begun, ended in pieces:
        name = _phase(title)
        first, last = spans.get(name, (begun, ended))
        spans[name] = (min(first, begun), max(last, ended))
    first = min(begun for begun, _ in spans.values())
    phases = {name: ended - begun for name, (begun, ended) in spans.items()}
    return {_FIRST: first, **phases, _LAST: end - first - sum(phases.values())}


def _phase(title: str) -> str:
    kind = title.partition(":")[0]
    names = {"base": "base image read", "push": "push that layers did not overlap", "assemble": "assembly"}
    return title if kind == "solve" else names.get(kind, "layers: fetch, make, push")


def _cold_rows(found: Measured) -> Iterator[tuple[str, str]]:
    floor = _floor_seconds(found)
    yield from _rows("floor", found.floor)
    yield "floor", f"{floor:.2f}"
    yield "cold build", report.spread(found.whole["cold build"])
    yield from _rows("of that", found.phases)
    yield "CPU of both cores", report.spread(found.whole["its CPU"])
    yield from _rows("of that", found.cpu)
    yield "cold build / floor", f"{statistics.median(found.whole['cold build']) / floor:.1f}"


def _floor_seconds(found: Measured) -> float:
    return statistics.median(map(sum, zip(*found.floor.values(), strict=True)))


def _rows(kind: str, seconds: Mapping[str, list[float]]) -> Iterator[tuple[str, str]]:
    return ((f"{kind}: {name}", report.spread(each)) for name, each in seconds.items())


def _hits(bench: Bench) -> dict[str, list[float]]:
    """Milliseconds by part, of hits after the first build."""
    store, found = bench.store("cold-0"), dict[str, list[float]]()
    for _ in range(HITS):
        command = ("-m", "bench.inside", "hit", str(time.perf_counter()), str(bench.file), _to("cold-0"))
        inside: dict[str, Any] = json.loads(bench.run(store, *command))
        _add(found, {name: 1000 * seconds for name, seconds in inside.items()})
    return found


def _hit_rows(found: Mapping[str, list[float]]) -> Iterator[tuple[str, str]]:
    yield from ((name, report.spread(times)) for name, times in found.items())
    yield "sum of medians", f"{sum(map(statistics.median, found.values())):.2f}"


if __name__ == "__main__":
    main()

"""Each goal of the design (section 8) beside what this run measured: met or not, with its ratio.

    PYTHONPATH=tests python -m bench.goals

Reads what the other parts wrote into docs/bench/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench import report
from bench.versus_page import Results, results

HEADER = ("case", "goal", "best peer", "its s", "prebake, s", "ratio", "met")
US = "prebake"
_PATCH_MEGABYTES = 0.1
_MEBI = (1 << 20) / 1e6
_WORKLOADS = {"wheels": "pip", "large": "conda + pip", "small": "small, all peers"}


@dataclass(frozen=True, slots=True)
class Ratio:
    """prebake is to be `times` as fast as the best peer of a workload in a case."""

    workload: str
    case: str
    times: float


RATIOS = (
    Ratio("wheels", "cold", 10),
    Ratio("large", "cold", 4),
    *(Ratio(name, "+1 pip", 100) for name in ("wheels", "large")),
    Ratio("large", "+1 conda", 100),
    *(Ratio(name, "base patched", 200) for name in ("wheels", "large")),
    Ratio("small", "env var", 3),  # where all peers take part: the oldest is the fastest
    Ratio("small", "nothing changed", 3),
)


def against_peers(found: dict[str, Results]) -> Iterator[tuple[str, ...]]:
    for goal in RATIOS:
        of = found[goal.workload]
        peer, theirs = of.best_peer(goal.case)
        ours = of.median(US, goal.case)
        ratio = theirs / ours
        case = f"{goal.case} ({_WORKLOADS[goal.workload]})"
        cells = (f"{goal.times:g}x", peer, f"{theirs:.2f}", f"{ours:.3f}", f"{ratio:.1f}x")
        yield case, *cells, _met(ratio >= goal.times)


def limits(found: dict[str, Results]) -> Iterator[tuple[str, ...]]:
    """Goals that are no ratio; they stand in the same table."""
    patched = max(max(of.megabytes[US, "base patched"]) for of in found.values())
    yield _limit(
        "base patched",
        f"under {_PATCH_MEGABYTES:g} MB moved",
        f"{patched:.3f} MB",
        patched < _PATCH_MEGABYTES,
    )
    hits = {row["hit"]: row["p50, ms"] for row in report.read_csv("hit")}
    for what, most in (("in process, to a registry", 2), ("whole process, to a registry", 150)):
        yield _limit(f"hit, {what}", f"p50 under {most} ms", f"{hits[what]} ms", float(hits[what]) < most)
    imported = hits["forbidden imports"]
    yield _limit("hit", "Prefect not imported", f"{imported} of 4 heavy packages imported", imported == "0")
    for row in report.read_csv("tiers"):
        if row["machine"] in ("A, solved anew", "B, other repository") and row["workspace in"] == "registry":
            pushed = row["blobs pushed, MB"]
            yield _limit(
                f"machine {row['machine']}", "0 blob bytes pushed", f"{pushed} MB", float(pushed) == 0
            )
    yield _memory()


def _memory() -> tuple[str, ...]:
    """Of the size next to 3 GB, and of the smallest to show that it is flat."""
    rows = report.read_csv("scale-size")
    peaks = {float(row["GB"]): float(row["peak, MiB (most)"]) * _MEBI for row in rows}
    least, size = min(peaks), min(peaks, key=lambda size: abs(size - 3))
    told = f"{peaks[size]:.0f} MB; {peaks[least]:.0f} MB for {least} GB"
    return _limit(f"memory, {size} GB", "flat, under 500 MB", told, peaks[size] < 500)


def _limit(case: str, goal: str, measured: str, met: bool) -> tuple[str, ...]:
    return case, goal, "", "", measured, "", _met(met)


def _met(met: bool) -> str:
    return "yes" if met else "**no**"


def main() -> None:
    found = results()
    rows = [*against_peers(found), *limits(found)]
    report.write_csv("goals", HEADER, rows)
    report.paste("goals", report.table(HEADER, rows))
    print(report.table(HEADER, rows))


if __name__ == "__main__":
    main()

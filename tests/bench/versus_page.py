"""Tables and plots of what `bench.versus` measured.

PYTHONPATH=tests python -m bench.versus_page
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bench import report

CSV = "versus"
Cell = Callable[["Results", tuple[str, str]], str]


@dataclass(slots=True)
class Results:
    """Of one workload: values by (contender, case), in the order they were measured.

    `images` are sizes in MB by contender, after "cold".
    """

    seconds: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    megabytes: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    images: dict[str, float] = field(default_factory=dict)

    @property
    def contenders(self) -> list[str]:
        return list(dict.fromkeys(contender for contender, _ in self.seconds))

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(case for _, case in self.seconds))

    def best_peer(self, case: str) -> tuple[str, float]:
        """Who is fastest beside prebake, and the median."""
        peers = {name: self.median(name, case) for name in self.contenders if name != "prebake"}
        return min(peers.items(), key=lambda item: item[1])

    def median(self, contender: str, case: str) -> float:
        return statistics.median(self.seconds[contender, case])


def results() -> dict[str, Results]:
    """By workload, from the CSV."""
    found: dict[str, Results] = defaultdict(Results)
    for row in report.read_csv(CSV):
        of, where = found[row["workload"]], (row["contender"], row["case"])
        of.seconds[where].append(float(row["seconds"]))
        of.megabytes[where].append(float(row["megabytes"]))
        if row["case"] == "cold":
            of.images[row["contender"]] = float(row["image"])
    return found


def main() -> None:
    found = results()
    for name, of in found.items():
        _plot(name, of)
    sections = [_section(name, of) for name, of in found.items()]
    report.paste(CSV, "\n".join([*sections, _contenders(found)]))


def _contenders(found: dict[str, Results]) -> str:
    """Who took part, and how large their images are."""
    versions = {row["contender"]: row["version"] for row in report.read_csv(CSV)}
    header = ["contender", "version", *(f"{name}, MB" for name in found)]
    rows = [[who, version, *(_image(of, who) for of in found.values())] for who, version in versions.items()]
    return f"Images: compressed layers above those of the base\n\n{report.table(header, rows)}"


def _image(of: Results, contender: str) -> str:
    return f"{of.images[contender]:.1f}" if contender in of.images else ""


def _section(name: str, of: Results) -> str:
    return (
        f"**{name}**, seconds: median (range)\n\n{report.table(['', *of.cases], _rows(of, _seconds))}\n"
        f"**{name}**, MB to the registry: median\n\n{report.table(['', *of.cases], _rows(of, _megabytes))}\n"
        f"![{name}](bench/{CSV}-{name}.svg)\n"
    )


def _rows(of: Results, cell: Cell) -> Iterable[list[str]]:
    for contender in of.contenders:
        yield [contender, *(cell(of, (contender, case)) for case in of.cases)]


def _seconds(of: Results, where: tuple[str, str]) -> str:
    return report.spread(of.seconds[where], digits=3)


def _megabytes(of: Results, where: tuple[str, str]) -> str:
    return f"{statistics.median(of.megabytes[where]):.3f}"


def _plot(name: str, of: Results) -> None:
    groups = {case: {who: of.median(who, case) for who in of.contenders} for case in of.cases}
    report.bars(f"{CSV}-{name}", report.Axes(f"{name}: median of rounds, push included", "s", ""), groups)


if __name__ == "__main__":
    main()

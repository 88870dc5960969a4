"""Render the page: one file that asks nobody for anything, in light and dark."""

from __future__ import annotations

import time
from importlib.resources import files
from typing import TYPE_CHECKING

from ..progress import megabytes
from .pictures import days, sharing, slowest, stack, timeline

if TYPE_CHECKING:
    from .facts import Facts


def render(facts: Facts) -> str:
    """The HTML."""
    from jinja2 import Environment, StrictUndefined

    own = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    own.filters.update({"date": _date, "bytes": _bytes, "share": _share})
    template = own.from_string(files(__package__).joinpath("page.html").read_text())
    requests, since, now = facts.requests, facts.since, facts.now
    return template.render(
        facts=facts,
        sharing=sharing(facts.environments),
        saving=stack({"stored": facts.stored, "nominal": facts.nominal - facts.stored}, "bytes"),
        tiers=stack(facts.layer_outcomes, "layers"),
        days=days(requests, since, now),
        timeline=timeline(requests, since, now),
        slowest=slowest(requests),
        warmed=[
            stack({"used": each.used, "pending": each.pending, "unused": each.unused}, "images")
            for each in facts.grades
        ],
    )


def _date(at: float) -> str:
    return time.strftime("%d %B %Y", time.gmtime(at))


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else megabytes(count)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"

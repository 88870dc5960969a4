"""A run in words: a line of `runs list`, the page of `runs show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import from_json
from .client import queue_position, record_of
from .states import QUEUED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .api import Api
    from .client import Run


HEADER = (
    f"{'run':<8}  {'state':<9}  {'submitted (UTC)':<19}  {'in queue':>9}  {'running':>9}  file, reference"
)


def line(run: Run) -> str:
    """A run in one line below HEADER."""
    times = f"{run.queue_seconds:7.1f} s  {run.run_seconds:7.1f} s"
    return f"{run.id[:8]}  {run.state:<9}  {run.created:%Y-%m-%d %H:%M:%S}  {times}  {run.file}, {run.to}"


def described(api: Api, run: Run) -> dict[str, Any]:
    """Everything that is known of a run, as `runs show --json` prints it."""
    record = record_of(api, run)
    before = queue_position(api, run) if run.state == QUEUED else None
    found = run.to_json() | {"runs_before": before, "steps": _steps(api, run)}
    if record is None:
        return found
    kept = record.to_json()
    return found | {name: kept[name] for name in ("images", "dependencies", "build", "error", "analysis")}


def page(described: Mapping[str, Any]) -> str:
    """The same for people."""
    return "\n".join(_lines(described))


def _steps(api: Api, run: Run) -> list[dict[str, Any]]:
    """The steps of a run as far as it came: what each is called, its state, its seconds."""
    body = {"flow_runs": {"id": {"any_": [run.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    tasks = api.pages("/task_runs/filter", body, 1000)
    return [
        {"step": task["name"], "state": task["state_name"], "seconds": round(task["total_run_time"], 3)}
        for task in tasks
    ]


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    for name in ("run", "state", "file", "reference", "lane", "key"):
        yield _row(name, told[name])
    for name in ("queued", "started", "finished"):
        yield _row(name, (told[name] or "-")[:19].replace("T", " "))
    before = f", {told['runs_before']} runs before it" if told["runs_before"] is not None else ""
    yield _row("in queue", f"{told['queue_seconds']} s{before}")
    yield _row("running", f"{told['run_seconds']} s")
    for step in told["steps"]:
        yield _row("step", f"{step['seconds']:7.2f} s  {step['state']:<9}  {step['step']}")
    for image in told.get("images", ()):
        yield _row("image", _image(image))
    for each in told.get("dependencies", ()):
        yield _row("base", _image(each["runtime-dependency"]))
    if analysis := told.get("analysis"):
        yield _row("cause", analysis["cause"])
        yield _row("evidence", analysis["evidence"])
    if error := told.get("error"):
        yield str(from_json(error))
    elif analysis:
        yield f"hint: {analysis['hint']}"


def _row(label: str, text: str) -> str:
    return f"{label:<11}{text}"


def _image(image: Mapping[str, str]) -> str:
    tag = f":{image['tag']}" if image["tag"] else ""
    return f"{image['registry']}/{image['repository']}{tag}@{image['digest']}"

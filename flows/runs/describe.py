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


def line(run: Run) -> str:
    """A run in one line: id, state, seconds queued and run, file, reference."""
    times = f"{run.queue_seconds:7.1f} s{run.run_seconds:9.1f} s"
    return f"{run.id[:8]}  {run.state:<9}  {run.created:%Y-%m-%d %H:%M:%S}{times}  {run.file}  {run.to}"


def described(api: Api, run: Run) -> dict[str, Any]:
    """Everything that is known of a run, as `runs show --json` prints it."""
    record = record_of(api, run)
    found = run.to_json() | {"runs_before": queue_position(api, run) if run.state == QUEUED else None}
    found |= {"steps": _steps(api, run)}
    if record is None:
        return found
    kept = record.to_json()
    own = {name: kept[name] for name in ("images", "dependencies", "build", "error", "analysis")}
    steps = kept["seconds"].get("steps") or {}
    finished = [{"step": title, "state": "ended", "seconds": spent} for title, spent in steps.items()]
    return found | own | ({"steps": finished} if finished else {})


def page(described: Mapping[str, Any]) -> str:
    """The same for people."""
    return "\n".join(_lines(described))


def _steps(api: Api, run: Run) -> list[dict[str, Any]]:
    """The steps of a run that goes on: what each is called, its state, its seconds."""
    body = {"flow_runs": {"id": {"any_": [run.id]}}, "sort": "EXPECTED_START_TIME_ASC"}
    tasks = api.pages("/task_runs/filter", body, 1000)
    return [
        {"step": task["name"], "state": task["state_name"], "seconds": round(task["total_run_time"], 1)}
        for task in tasks
    ]


def _lines(told: Mapping[str, Any]) -> Iterator[str]:
    facts = ("run", "state", "file", "reference", "lane", "key", "queued", "started", "finished")
    for name in facts:
        yield f"{name:<11}{told[name] or '-'}"
    before = f", {told['runs_before']} before it" if told["runs_before"] is not None else ""
    yield f"{'in queue':<11}{told['queue_seconds']} s{before}"
    yield f"{'running':<11}{told['run_seconds']} s"
    for step in told["steps"]:
        yield f"{'step':<11}{step['seconds']:7.1f} s  {step['state']:<9}  {step['step']}"
    for image in told.get("images", ()):
        yield f"{'image':<11}{_image(image)}"
    for each in told.get("dependencies", ()):
        yield f"{'base':<11}{_image(each['runtime-dependency'])}"
    if analysis := told.get("analysis"):
        yield f"{'cause':<11}{analysis['cause']}: {analysis['evidence']}"
        yield f"{'advice':<11}{analysis['hint']}"
    if error := told.get("error"):
        yield str(from_json(error))


def _image(image: Mapping[str, str]) -> str:
    tag = f":{image['tag']}" if image["tag"] else ""
    return f"{image['registry']}/{image['repository']}{tag}@{image['digest']}"

"""Order, failures, time-outs and cancelling, with real containers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from prebake.builders.docker_task_room import LABEL
from prebake.builders.stop import Stop
from prebake.errors import EngineError, PrebakeError
from prebake.flows.tasks.runner import Terms
from prebake.flows.tasks.states import State

OK, FAILED, SKIPPED, INPROGRESS = State.SUCCESSFUL, State.FAILED, State.SKIPPED, State.INPROGRESS
FOREVER = "sh -c 'tail -f /dev/null & wait'"


def test_steps_that_nothing_orders_run_side_by_side(play: Callable[..., Any]) -> None:
    """Each waits for the other's file: one after the other would never end."""
    done = play(
        """
stepTimeout: 120
steps:
  - {id: a, when: ["-"], cmd: "{{.Values.base}} sh -c 'touch a; until test -e b; do sleep 0.05; done'"}
  - {id: b, when: ["-"], cmd: "{{.Values.base}} sh -c 'touch b; until test -e a; do sleep 0.05; done'"}
  - {id: after, when: [a, b], cmd: "{{.Values.base}} ls"}
"""
    )
    assert done.states == {"a": OK, "b": OK, "after": OK}
    assert done.said("after") == ["a", "b"]


def test_the_first_step_that_fails_ends_the_run(play: Callable[..., Any]) -> None:
    states: list[tuple[str, State]] = []
    done = play(
        f"""
steps:
  - {{id: forever, when: ["-"], cmd: "{{{{.Values.base}}}} sh -c 'touch on; tail -f /dev/null'"}}
  - id: fails
    when: ["-"]
    cmd: "{{{{.Values.base}}}} sh -c 'until test -e on; do sleep 0.05; done; exit 7'"
  - {{id: never, when: [forever], cmd: x}}
  - {{id: background, when: ["-"], detach: true, cmd: "{{{{.Values.base}}}} {FOREVER}"}}
""",
        Terms(on_state=lambda *change: states.append(change)),
    )
    assert done.states | {"background": OK} == {
        "forever": FAILED,
        "fails": FAILED,
        "never": SKIPPED,
        "background": OK,
    }
    assert (done.run.state, done.run.error.sentence) == ("Failed", "step `fails` exited with 7")
    assert done.run.steps[0].error.facts == {"reason": "a step failed"}
    assert {("forever", INPROGRESS), ("forever", FAILED), ("fails", FAILED)} <= set(states)
    assert not any(name == "never" for name, _ in states)


def test_what_a_failing_server_said_last_is_told(play: Callable[..., Any]) -> None:
    done = play(
        """
steps:
  - {id: server, detach: true, cmd: "{{.Values.base}} sh -c 'echo cannot bind; touch said; exit 1'"}
  - {id: asks, cmd: "{{.Values.base}} sh -c 'until test -e said; do sleep 0.05; done; exit 1'"}
"""
    )
    assert done.states == {"server": OK, "asks": FAILED}
    assert "cannot bind" in done.said("server")


def test_a_step_runs_out_of_time(play: Callable[..., Any]) -> None:
    done = play(
        "steps:\n- id: slow\n  timeout: 1\n  retries: 5\n  cmd: '{{.Values.base}} tail -f /dev/null'\n"
    )
    assert done.run.state == "Failed"
    assert done.run.error.sentence == "step `slow` ran out of time"
    assert done.run.error.facts["timeout"] == "1 s"
    assert "stepTimeout" in done.run.error.hint


def test_a_step_that_may_fail_may_run_out_of_time(play: Callable[..., Any]) -> None:
    done = play(
        """
steps:
  - {timeout: 1, ignoreErrors: true, cmd: "{{.Values.base}} tail -f /dev/null"}
  - {startDelay: 1, cmd: "{{.Values.base}} true"}
"""
    )
    assert done.run.state == "Succeeded"


def test_a_build_that_runs_out_of_time_is_given_up(
    play: Callable[..., Any], engine: docker.DockerClient, tmp_path: Path
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("ARG BASE\nFROM ${BASE}\nRUN tail -f /dev/null\n")
    text = "steps: [{id: slow, timeout: 3, build: '--build-arg BASE={{.Values.base}} .'}]"
    done = play(text, plan={"context": context})
    assert done.run.error.sentence == "step `slow` ran out of time"
    ended = threading.Event()
    for _ in range(600):
        if not engine.containers.list(ignore_removed=True):
            break
        ended.wait(0.1)
    assert engine.containers.list(ignore_removed=True) == []


def test_the_run_runs_out_of_time_whatever_its_steps_may_take(play: Callable[..., Any]) -> None:
    done = play(
        """
steps:
  - {id: slow, cmd: "{{.Values.base}} tail -f /dev/null", ignoreErrors: true}
  - {id: next, cmd: "{{.Values.base}} true"}
""",
        Terms(timeout=2),
    )
    assert (done.run.state, done.run.error.sentence) == ("Timeout", "the run ran out of time")
    assert done.states["slow"] in (FAILED, SKIPPED)  # skipped where preparing took the time
    assert done.states["next"] is SKIPPED
    warning = "one after another the steps may take 1200 s, the run's time-out of 2 s ends them first"
    assert sum(warning in line for line in done.log) == 1


def test_a_run_is_canceled_from_another_thread(play: Callable[..., Any]) -> None:
    stop = Stop()

    def cancel(step_id: str, state: State) -> None:
        if (step_id, state) == ("second", INPROGRESS):
            threading.Thread(target=stop.ask, args=["somebody's wish"]).start()

    done = play(
        """
steps:
  - {id: first, cmd: "{{.Values.base}} true", keep: true}
  - {id: second, cmd: "{{.Values.base}} tail -f /dev/null", retries: 9}
""",
        Terms(stop=stop, on_state=cancel),
    )
    assert (done.run.state, done.run.error.sentence) == ("Canceled", "the run was canceled")
    assert done.run.error.facts == {"reason": "somebody's wish"}
    assert done.states == {"first": OK, "second": FAILED}


def test_containers_that_are_kept_stay_until_the_run_ends(
    play: Callable[..., Any], engine: docker.DockerClient
) -> None:
    seen: dict[str, list[str]] = {}

    def look(step_id: str, state: State) -> None:
        if step_id == "look" and state is INPROGRESS:
            found = engine.containers.list(all=True, filters={"label": LABEL})
            seen.update({str(each.name).rpartition("-")[2]: [each.status] for each in found})

    done = play(
        """
steps:
  - {id: gone, cmd: "{{.Values.base}} true"}
  - {id: kept, cmd: "{{.Values.base}} true", keep: true}
  - {id: back, cmd: "{{.Values.base}} tail -f /dev/null", detach: true}
  - {id: look, cmd: "{{.Values.base}} true"}
""",
        Terms(on_state=look),
    )
    assert done.run.error is None
    assert seen == {"kept": ["exited"], "back": ["running"]}


def test_what_an_earlier_attempt_left_is_removed_first(
    play: Callable[..., Any], engine: docker.DockerClient, world: Any, tmp_path: Path
) -> None:
    play("steps: [{cmd: '{{.Values.base}} true'}]")
    run_id = f"{tmp_path.name.lower().replace('_', '-')}-1"
    engine.containers.create(world.base, "true", name=f"prebake-{run_id}-again", labels={LABEL: run_id})
    engine.volumes.create(f"prebake-{run_id}-workspace", labels={LABEL: run_id})
    assert play("steps: [{id: again, cmd: '{{.Values.base}} true'}]").run.error is None


def test_each_step_goes_through_around(play: Callable[..., Any]) -> None:
    titles: list[str] = []
    raised: list[type] = []

    def around(title: str, work: Callable[[], Any]) -> Any:
        titles.append(title)
        try:
            return work()
        except Exception as error:
            raised.append(type(error))
            raise

    done = play(
        "steps: [{id: a, cmd: '{{.Values.base}} true'}, {id: b, cmd: '{{.Values.base}} false'}]",
        Terms(around=around),
    )
    assert titles == ["step a", "step b"]
    assert len(raised) == 1
    assert done.states == {"a": OK, "b": FAILED}


def test_an_interrupt_is_raised_when_nothing_is_left(play: Callable[..., Any]) -> None:
    def interrupted(title: str, work: Callable[[], Any]) -> Any:
        if title == "step b":
            raise KeyboardInterrupt
        return work()

    text = """
steps:
  - {id: a, when: ["-"], cmd: "{{.Values.base}} tail -f /dev/null"}
  - {id: b, when: ["-"], cmd: "{{.Values.base}} true"}
"""
    with pytest.raises(KeyboardInterrupt):
        play(text, Terms(around=interrupted))


def test_errors_of_steps_are_errors_of_ours(play: Callable[..., Any]) -> None:
    done = play("steps: [{id: a, cmd: '{{.Values.base}} no-such-program'}]")
    assert isinstance(done.run.error, EngineError)
    assert issubclass(EngineError, PrebakeError)
    assert "no-such-program" in str(done.run.error) + "\n".join(done.log)

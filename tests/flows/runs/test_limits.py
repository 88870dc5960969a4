"""Which limit an attempt has passed, and what its outcome is called."""

from __future__ import annotations

from typing import Any, cast

from prebake.errors import SolveError, Unreachable
from prebake.flows.runs import states
from prebake.flows.runs.attempt import Attempt
from prebake.flows.runs.outcome import Outcome
from prebake.flows.runs.submission import Submission
from prebake.flows.runs.watch import late


def attempt(spent: float, step_timeout: int = 600) -> Attempt:
    """One whose run was at work for `spent` seconds before."""
    submission = Submission.from_json(
        {
            "key": "0" * 32,
            "pack": {"mediaType": "x", "digest": f"sha256:{0:064}", "size": 1},
            "file": "env.yml",
            "image": None,
            "to": "registry.example.com/team/env:1",
            "policy": "",
            "allow_sdist": [],
            "settings": {},
            "lane": "on-demand",
            "timeout": 3600,
            "step_timeout": step_timeout,
        }
    )
    nobody = cast("Any", None)
    return Attempt("id", submission, nobody, nobody, nobody, 0.0, spent)


def test_within_its_limits_it_goes_on() -> None:
    assert late(attempt(3500.0)) is None


def test_a_run_that_takes_too_long_is_told_so() -> None:
    error = late(attempt(3601.0))
    assert error
    assert error.sentence == "the run took too long"
    assert error.facts == {"steps at work": "none", "allowed": "3600 s"}


def test_only_what_is_the_users_is_a_failure() -> None:
    assert Outcome(error=SolveError("x")).state == states.FAILED
    assert Outcome(error=Unreachable("x")).state == states.ERROR
    assert Outcome(error=KeyError("x")).state == states.ERROR

from __future__ import annotations

import pytest

from prebake.errors import DefinitionError, PrebakeError, RegistryError, SolveError, StoreError, Unreachable
from prebake.flows.runs.analysis import analyse

_BY_SENTENCE = {
    SolveError("no channel has a package `x`"): "conda package not found",
    SolveError("no index has a package `x`"): "no matching distribution",
    SolveError("the packages contradict each other"): "incompatible packages",
    DefinitionError("`a b` is not a match spec"): "bad conda spec",
    DefinitionError("the base image does not exist"): "base image not found",
    Unreachable("the package index does not answer"): "pip communications error",
    Unreachable("the registry does not answer"): "registry unreachable",
    PrebakeError("the step `solve: pip` took too long"): "time-out",
    PrebakeError("something else"): "unknown",
}


@pytest.mark.parametrize(("error", "cause"), _BY_SENTENCE.items())
def test_a_cause_has_a_name(error: PrebakeError, cause: str) -> None:
    found = analyse(error)
    assert (found.cause, found.evidence) == (cause, error.sentence)


def test_the_evidence_is_the_line_that_shows_it() -> None:
    full = StoreError("cannot write", facts={"reason": "No space left on device"}, hint="free some")
    found = analyse(full)
    assert found.cause == "no space left on the worker"
    assert (found.evidence, found.hint) == ("reason: No space left on device", "free some")
    refused = RegistryError("it refused", facts={"answer": "none\nstatus 401 Unauthorized"})
    assert analyse(refused).evidence == "answer: status 401 Unauthorized"


def test_a_mistake_of_our_own_is_called_so() -> None:
    found = analyse(KeyError("x"))
    assert (found.cause, found.evidence) == ("internal error", "KeyError: 'x'")

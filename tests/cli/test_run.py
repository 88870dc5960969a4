"""`prebake run --local`: the command's own output and exit code."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

Prebake = Callable[..., CompletedProcess[str]]
Definition = Callable[..., str]

CODE = """
import os, sys, tabulate
print(tabulate.__version__, os.environ["COLOUR"])
print("words", file=sys.stderr)
sys.exit(7)
"""


@pytest.mark.usefixtures("warm")
def test_run_local(prebake: Prebake, definition: Definition, tmp_path: Path) -> None:
    (tmp_path / "env.yml").write_text(definition(pip=("tabulate==0.9.0",), COLOUR="blue"))
    first = prebake("run", "env.yml", "--local", "-q", "--", "python", "-c", CODE)
    assert (first.returncode, first.stdout, first.stderr) == (7, "0.9.0 blue\n", "words\n")
    again = prebake("run", "env.yml", "--local", "--", "sh", "-c", "kill -9 $$")
    assert again.returncode == 137
    assert "solving" not in again.stderr
    unknown = prebake("run", "env.yml", "--local", "-q", "--", "frobnicate")
    assert unknown.returncode == 127
    assert "Traceback" not in unknown.stderr

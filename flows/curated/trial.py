"""The container part: the smoke test, and what the image's packages say about their licences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...builders.docker import connect
from ...builders.docker_trial import Said, succeeding, try_out
from ...config.pip_line import normal_name
from ...errors import EngineError
from ..destination import Destination, deliver

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ...builders.results import ImageResult
    from ..progress import Progress
    from ..wiring import Workspace
    from .prepare import Prepared

_SECONDS = 600
# A hanging test ends with a traceback: this timer needs neither a signal (process 1 gets none) nor the GIL.
# The last line is ours, whatever the test prints.
_PROGRAM = f"""\
import faulthandler, sys
faulthandler.dump_traceback_later({_SECONDS}, exit=True)
exec(compile(sys.argv[1], "smoke.py", "exec"), {{"__name__": "__main__"}})
import glob, importlib.metadata, json, os
conda = [json.load(open(file)) for file in glob.glob(os.environ["CONDA_PREFIX"] + "/conda-meta/*.json")]
dists = [dist.metadata for dist in importlib.metadata.distributions()]
print("\\n" + json.dumps({{
    "conda": {{each["name"]: each.get("license") for each in conda}},
    "pypi": {{each["Name"]: each["License-Expression"] or each["License"] for each in dists}},
}}))
"""


@dataclass(frozen=True)
class Licences:
    """Licences by package name, as the packages tell them; names of dists are normalised."""

    conda: Mapping[str, str]
    pypi: Mapping[str, str]


def trial(prepared: Prepared, image: ImageResult, workspace: Workspace, progress: Progress) -> Licences:
    """Run the smoke test in a container. Raises EngineError if it fails, Unreachable without an engine.

    The engine keeps each environment's last candidate: the next one shares most layers with it.
    """
    environment = prepared.curated.name
    name, program = _candidate(environment), ("python", "-c", _PROGRAM, prepared.curated.smoke)
    progress.step(f"{environment}: smoke test")
    with (
        connect(workspace.docker_host, workspace.docker_certificates) as engine,
        succeeding(name, engine),
    ):
        loaded = deliver(image, Destination("docker", name), workspace, progress)
        said = try_out(loaded.image_id, program, engine)
    if said.code:
        raise _failed(environment, said)
    told = json.loads(said.output.splitlines()[-1])
    pypi = {normal_name(each): text for each, text in _known(told["pypi"]).items()}
    return Licences(_known(told["conda"]), pypi)


def _candidate(environment: str) -> str:
    return f"prebake/curated-{environment}:candidate"


def _failed(name: str, said: Said) -> EngineError:
    facts = {
        "environment": name,
        "exit code": said.code,
        "output": (said.output + said.errors).strip()[-1500:],
    }
    hint = f"look into `docker run -it {_candidate(name)}`, then correct the test or pin what broke it"
    return EngineError("the smoke test failed", facts=facts, hint=hint)


def _known(told: Mapping[str, str | None]) -> dict[str, str]:
    """Some put the whole text of their licence there, or say that they tell nothing."""
    short = {name: text.strip() for name, text in told.items() if text and "\n" not in text.strip()}
    return {
        name: text for name, text in short.items() if text and text.upper() not in ("UNKNOWN", "NOASSERTION")
    }

"""A command job as a value: what runs, in which environment, on which data (Azure ML CLI v2's command job).

>>> fill("python train.py --lr ${{inputs.lr}}", {"inputs.lr": "0.1"})
'python train.py --lr 0.1'
>>> fill("score $[[--limit ${{inputs.limit}}]]", {})
'score '
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path  # noqa: TC003  (records of jobs are read back by these annotations)

from ..errors import SettingsError
from .definition import Environment  # noqa: TC001  (the same)

FILES = ("uri_file",)
FOLDERS = ("uri_folder", "mltable", "custom_model", "mlflow_model", "triton_model")
LITERALS = ("string", "number", "integer", "boolean")
PLACEHOLDER = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
_OPTIONAL = re.compile(r"\$\[\[(.*?)\]\]", re.DOTALL)
_GPUS = re.compile(r'all|[1-9]\d*|"?device=[\w,-]+"?', re.ASCII)
_REMOTE = re.compile(r"azureml:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class Input:
    """What a job reads: a literal's `value`, else a `path` of this machine or a `remote` address."""

    name: str
    type: str = "string"
    value: str = ""
    path: Path | None = None
    remote: str = ""


@dataclass(frozen=True)
class Output:
    """What a job writes: into `path`, or into the job's own folder where that is None."""

    name: str
    type: str = "uri_folder"
    path: Path | None = None
    remote: str = ""


@dataclass(frozen=True)
class Resources:
    """What a container gets, in Docker's words; empty means the engine's default.

    Raises SettingsError for gpus that are none.
    """

    shm_size: str = ""
    gpus: str = ""
    network: str = ""
    ipc: str = ""

    def __post_init__(self) -> None:
        if self.gpus and not _GPUS.fullmatch(self.gpus):
            facts = {"found": self.gpus, "allowed": "all, a number, or device=ID,ID"}
            raise SettingsError("these GPUs make no sense", facts=facts, hint="write for instance --gpus all")


@dataclass(frozen=True)
class Job:
    """A command line for `sh` and where it runs; `environment` or the `reference` of a registered one.

    `includes` are files and folders that stand beside the code; `timeout` is in seconds, None means none.
    """

    command: str
    environment: Environment | None = None
    reference: str = ""
    code: Path | None = None
    includes: tuple[Path, ...] = ()
    environment_variables: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    resources: Resources = Resources()
    timeout: int | None = None
    display_name: str = ""
    source: Path | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)


def is_remote(address: str) -> bool:
    """Whether an address is a workspace's or a URL, and no path of this machine."""
    return bool(_REMOTE.match(address))


def needed(command: str) -> tuple[str, ...]:
    """What `${{...}}` names outside of `$[[...]]`, where a value may be missing."""
    return tuple(PLACEHOLDER.findall(_OPTIONAL.sub("", command)))


def fill(command: str, values: dict[str, str]) -> str:
    """The command with values in place of `${{inputs.x}}`; `$[[...]]` goes where a value of it is missing.

    Values stand in the line as they are, as in Azure ML: the shell reads them.
    """

    def optional(match: re.Match[str]) -> str:
        return match[1] if all(name in values for name in PLACEHOLDER.findall(match[1])) else ""

    return PLACEHOLDER.sub(lambda match: values[match[1]], _OPTIONAL.sub(optional, command))

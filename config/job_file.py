"""Azure ML's command-job and command-component YAML, read unchanged.

Keys that only a workspace understands are accepted and ignored; what would make another job of it
(several nodes, other job types) is refused.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .environment_file import inline_environment
from .fields import Field, Table, known, unknown
from .job import PLACEHOLDER, Job, Resources, needed
from .job_data import read_inputs, read_outputs
from .job_resources import docker_arguments
from .load import load
from .places import did_you_mean, missing, refusal
from .yaml_nodes import Value, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..errors import DefinitionError


_IGNORED = (
    "$schema", "id", "name", "version", "experiment_name", "description", "tags", "properties", "compute",
    "identity", "services", "queue_settings", "creation_context", "status", "parent_job_name",
    "is_deterministic",
)  # fmt: skip
JOB: Table = {
    **dict.fromkeys(_IGNORED, Field("any", "A workspace's; ignored.")),
    "type": Field("text", "`command`."),
    "display_name": Field("word", "What people call the job."),
    "command": Field("text", "Command line for the shell.", required=True),
    "code": Field("text", "Folder the command runs in, relative to this file."),
    "additional_includes": Field("texts", "More files and folders, beside the code."),
    "environment": Field("any", "A mapping, a file or a registered environment.", required=True),
    "environment_variables": Field("pairs", "Variables of the job."),
    "inputs": Field("any", "What `${{inputs.NAME}}` stands for."),
    "outputs": Field("any", "What `${{outputs.NAME}}` stands for."),
    "resources": Field("any", "What the container gets."),
    "distribution": Field("any", "One process on one node."),
    "limits": Field("any", "`timeout` in seconds."),
}
RESOURCES: Table = {
    "instance_count": Field("word", "1."),
    "instance_type": Field("any", "A workspace's; ignored."),
    "locations": Field("any", "A workspace's; ignored."),
    "max_instance_count": Field("any", "A workspace's; ignored."),
    "properties": Field("any", "A workspace's; ignored."),
    "shm_size": Field("text", "Shared memory, as 2g."),
    "docker_args": Field("text", "More arguments of `docker run`."),
}
DISTRIBUTION: Table = {
    "type": Field("text", "pytorch, tensorflow, mpi or ray."),
    "process_count_per_instance": Field("word", "1."),
    "worker_count": Field("word", "1."),
    "parameter_server_count": Field("word", "0."),
}
LIMITS: Table = {"timeout": Field("word", "Seconds.")}
# What tells another kind of job where `type` does not.
_OTHERS = {
    "jobs": "pipeline",
    "trial": "sweep",
    "entry": "spark",
    "training_data": "automl",
    "task": "parallel",
}


def load_job(path: Path, given: tuple[tuple[str, str], ...] = ()) -> Job:
    """The job a file declares; `given` values of inputs win over the file's. Raises DefinitionError."""
    document = parse(path)
    _refuse_other_jobs(document)
    fields = known(document, JOB)
    job = Job(
        fields["command"].text(),
        code=_code(fields["code"]) if "code" in fields else None,
        includes=_includes(fields["additional_includes"]) if "additional_includes" in fields else (),
        environment_variables=fields["environment_variables"].pairs()
        if "environment_variables" in fields
        else (),
        inputs=read_inputs(fields.get("inputs"), given, path),
        outputs=read_outputs(fields.get("outputs")),
        resources=_resources(fields),
        timeout=_timeout(fields["limits"]) if "limits" in fields else None,
        display_name=fields["display_name"].word() if "display_name" in fields else "",
        source=path,
    )
    _refuse_unknown_names(fields["command"], fields, job)
    return _with_environment(job, document, tuple(_warnings(document, fields)))


def _refuse_other_jobs(document: Value) -> None:
    fields = document.fields()
    kind = fields["type"].word() if "type" in fields else ""
    kind = kind or next((other for key, other in _OTHERS.items() if key in fields), "command")
    if kind != "command":
        raise refusal(
            f"this is a {kind} job",
            fields.get("type", document).place,
            found=f"type {kind}",
            allowed="type command",
            hint="submit its commands one by one, each as a command job",
        )
    if "command" not in fields and fields.keys() & {"image", "build", "conda_file", "dependencies"}:
        raise refusal(
            "this is an environment, not a job",
            document.place,
            found=f"keys {', '.join(fields)}",
            allowed="`command:` and `environment:`",
            hint=f"run a command in it: prebake submit --env {document.path.name} -- COMMAND",
        )


def _code(value: Value) -> Path:
    path = value.path.parent / value.text().removeprefix("file:")
    if "://" in value.text() or value.text().startswith("azureml:"):
        hint = "clone or download it, and name the folder"
        raise refusal("the code is not on this machine", value.place, found=value.text(), hint=hint)
    if not path.is_dir():
        raise missing(path, value.place, "folder")
    return path.resolve()


def _includes(value: Value) -> tuple[Path, ...]:
    paths = [(item.path.parent / item.text(), item.place) for item in value.items()]
    for path, place in paths:
        if not path.exists():
            raise missing(path, place)
    return tuple(path.resolve() for path, _ in paths)


def _resources(fields: dict[str, Value]) -> Resources:
    given = known(fields["resources"], RESOURCES) if "resources" in fields else {}
    if "instance_count" in given:
        _refuse_more_than(1, given["instance_count"], "nodes")
    _refuse_distribution(fields.get("distribution"))
    arguments = docker_arguments(given["docker_args"]) if "docker_args" in given else Resources()
    return replace(arguments, shm_size=given["shm_size"].text()) if "shm_size" in given else arguments


def _refuse_distribution(value: Value | None) -> None:
    given = known(value, DISTRIBUTION) if value else {}
    for key, most in {
        "process_count_per_instance": 1,
        "worker_count": 1,
        "parameter_server_count": 0,
    }.items():
        if key in given:
            _refuse_more_than(most, given[key], "processes")


def _refuse_more_than(most: int, value: Value, noun: str) -> None:
    if value.word() not in {str(count) for count in range(most + 1)}:
        raise refusal(
            f"a job with several {noun} cannot run on one machine",
            value.place,
            found=f"{value.name} {value.word()}",
            allowed=str(most),
            hint="run it on a cluster, or ask for one",
        )


def _timeout(value: Value) -> int | None:
    given = known(value, LIMITS)
    if "timeout" not in given:
        return None
    if given["timeout"].kind != "int" or int(given["timeout"].word()) < 1:
        raise given["timeout"].wrong("seconds, a whole number above 0")
    return int(given["timeout"].word())


def _refuse_unknown_names(command: Value, fields: dict[str, Value], job: Job) -> None:
    """Each `${{...}}` names an input or an output; one without a value may only stand within `$[[...]]`."""
    sections = {key: fields[key].fields() for key in ("inputs", "outputs") if key in fields}
    declared = [f"{key}.{name}" for key, names in sections.items() for name in names]
    for name in PLACEHOLDER.findall(command.text()):
        if name not in declared:
            raise _unknown_name(name, command, declared)
    valued = [f"inputs.{each.name}" for each in job.inputs] + [f"outputs.{each.name}" for each in job.outputs]
    for name in needed(command.text()):
        if name not in valued:
            hint = f"put it within $[[...]], or give it: --input {name.partition('.')[2]}=VALUE"
            found = f"${{{{{name}}}}}"
            raise refusal("the command needs an input without a value", command.place, found=found, hint=hint)


def _unknown_name(name: str, command: Value, declared: list[str]) -> DefinitionError:
    section = name.partition(".")[0]
    known_section = section in ("inputs", "outputs")
    usual = (
        f"declare it below `{section}:`" if known_section else "only inputs and outputs stand for something"
    )
    return refusal(
        "the command names what the job does not have",
        command.place,
        found=f"${{{{{name}}}}}",
        allowed=", ".join(declared) or "no input or output is declared",
        hint=did_you_mean(name, declared) or usual,
    )


def _with_environment(job: Job, document: Value, warnings: tuple[str, ...]) -> Job:
    """The environment may be inline, a file beside the job, or the reference of a registered one."""
    value = document.fields()["environment"]
    if value.kind == "map":
        environment = inline_environment(document)
        return replace(job, environment=environment, warnings=(*warnings, *environment.warnings))
    if is_file(value.text()):
        path = value.path.parent / value.text().removeprefix("file:")
        if not path.exists():
            raise missing(path, value.place)
        environment = load(path)
        return replace(job, environment=environment, warnings=(*warnings, *environment.warnings))
    if not value.text():
        raise value.wrong("a mapping, a file or a reference")
    return replace(job, reference=value.text(), warnings=warnings)


def is_file(text: str) -> bool:
    """Whether `environment:` names a file: `file:env.yml`, or what ends like one."""
    ending = text.rpartition(".")[2].lower()
    return text.startswith("file:") or (
        not text.startswith("azureml:") and ending in {"yml", "yaml", "txt", "in"}
    )


def _warnings(document: Value, fields: dict[str, Value]) -> Iterator[str]:
    yield from unknown(document, JOB)
    nested: dict[str, Table] = {"resources": RESOURCES, "distribution": DISTRIBUTION, "limits": LIMITS}
    for key in nested.keys() & fields.keys():
        yield from unknown(fields[key], nested[key])

"""`inputs:` and `outputs:` of a job: literals, paths of this machine, and addresses that are elsewhere."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import DefinitionError
from .fields import Field, Table, known
from .job import FILES, FOLDERS, LITERALS, Input, Output, is_remote
from .places import did_you_mean, missing, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from .job import Job
    from .yaml_nodes import Value

_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
INPUT: Table = {
    "type": Field("text", "uri_file, uri_folder, mltable, a model, or a literal's type."),
    "path": Field("text", "Where it is, relative to this file."),
    "mode": Field("text", "Ignored: what is here is mounted."),
    "default": Field("word", "Value where none is given."),
    "optional": Field("word", "Whether it may have no value."),
    "description": Field("any", "Ignored."),
    "min": Field("any", "Ignored."),
    "max": Field("any", "Ignored."),
    "enum": Field("any", "Ignored."),
}


def read_inputs(section: Value | None, given: tuple[tuple[str, str], ...], source: Path) -> tuple[Input, ...]:
    """The inputs that have a value; `given` win. Raises DefinitionError."""
    fields = section.fields() if section else {}
    for name, text in given:
        if name not in fields:
            hint = did_you_mean(name, fields) or "leave it out"
            facts = {"file": source, "found": f"{name}={text}", "allowed": ", ".join(fields) or "none"}
            raise DefinitionError(f"the job has no input `{name}`", facts=facts, hint=hint)
    found = (_input(_checked(name, value), value, dict(given).get(name)) for name, value in fields.items())
    return tuple(each for each in found if each)


def read_outputs(section: Value | None) -> tuple[Output, ...]:
    """The outputs. Raises DefinitionError."""
    return tuple(
        _output(_checked(name, value), value) for name, value in (section.fields() if section else {}).items()
    )


def not_local(job: Job) -> DefinitionError | None:
    """Why the job cannot run here although it can be read: data that is not on this machine."""
    for noun, values in (("input", job.inputs), ("output", job.outputs)):
        for value in values:
            if value.remote:
                facts = {"job": job.source or job.command, "found": value.remote, "allowed": "a path"}
                hint = "download it and name the path, or look at the job with --dry-run"
                if noun == "output":
                    hint = "leave `path` out: it then goes into the job's folder"
                sentence = f"{noun} `{value.name}` is not on this machine"
                return DefinitionError(sentence, facts=facts, hint=hint)
    return None


def _checked(name: str, value: Value) -> str:
    if not _NAME.fullmatch(name):
        hint = "use letters, digits and `_`"
        raise refusal("an input or output has an impossible name", value.place, found=name, hint=hint)
    return name


def _input(name: str, value: Value, given: str | None) -> Input | None:
    if value.kind != "map":
        return Input(name, value=value.word() if given is None else given)
    fields = known(value, INPUT)
    kind = _type(fields, value, (*FILES, *FOLDERS, *LITERALS), "uri_folder" if "path" in fields else "string")
    if kind in LITERALS:
        return _literal(name, kind, value, given)
    text = given if given is not None else fields["path"].text() if "path" in fields else None
    if text is None:
        return _left_out(name, value)
    if is_remote(text):
        return Input(name, kind, remote=text)
    path = value.path.parent / text.removeprefix("file:")
    if not path.exists():
        raise missing(path, fields.get("path", value).place, "file" if kind in FILES else "folder")
    return Input(name, kind, path=path.resolve())


def _literal(name: str, kind: str, value: Value, given: str | None) -> Input | None:
    fields = known(value, INPUT)
    own = next((fields[key].word() for key in ("path", "default") if key in fields), None)
    text = own if given is None else given
    return _left_out(name, value) if text is None else Input(name, kind, text)


def _left_out(name: str, value: Value) -> Input | None:
    """An input without a value, if it may have none."""
    fields = known(value, INPUT)
    if "optional" not in fields or fields["optional"].word().lower() != "true":
        hint = f"give it: --input {name}=VALUE"
        raise refusal(f"input `{name}` has no value", value.place, found="a declaration alone", hint=hint)
    return None


def _output(name: str, value: Value) -> Output:
    if value.kind == "null":
        return Output(name)
    fields = known(value, INPUT)
    kind = _type(fields, value, (*FILES, *FOLDERS), "uri_folder")
    text = fields["path"].text() if "path" in fields else ""
    if not text or is_remote(text):
        return Output(name, kind, remote=text)
    return Output(name, kind, (value.path.parent / text.removeprefix("file:")).resolve())


def _type(fields: dict[str, Value], value: Value, allowed: tuple[str, ...], usual: str) -> str:
    kind = fields["type"].text() if "type" in fields else usual
    if kind not in allowed:
        hint = did_you_mean(kind, allowed) or "choose one of these"
        place = fields["type"].place if "type" in fields else value.place
        raise refusal(
            f"`{kind}` is no type of data", place, found=kind, allowed=", ".join(allowed), hint=hint
        )
    return kind

"""JSON schema of the environment YAML for editors, made from the tables the reader itself uses."""

from __future__ import annotations

import inspect
from typing import Any

from . import definition
from .fields import (
    AUTO_REBUILD,
    BUILD,
    CONDA,
    COORDINATE,
    ENVIRONMENT,
    INFERENCE,
    ROUTE,
    SPARK,
    Field,
    Kind,
    Table,
)

Schema = dict[str, Any]
_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_PIP: Schema = {"type": "object", "properties": {"pip": {**_TEXTS, "type": ["array", "null"]}}}


def json_schema() -> Schema:
    """The schema; unknown keys are allowed, since the reader only warns of them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "prebake environment",
        **_object(definition.Definition, ENVIRONMENT),
        "oneOf": [{"required": ["image"]}, {"required": ["build"]}],
        "dependentRequired": {"conda_file": ["image"], "spark": ["image"]},
    }


def _object(noun: type | None, table: Table) -> Schema:
    told = {"description": (inspect.getdoc(noun) or "").replace("\n", " ")} if noun else {}
    return {
        "type": "object",
        **told,
        "properties": {key: _property(field) for key, field in table.items()},
        "required": [key for key, field in table.items() if field.required],
    }


def _property(field: Field) -> Schema:
    schema = _of_kind(field.kind)
    return {**schema, "description": " ".join(filter(None, [field.says, schema.get("description", "")]))}


def _of_kind(kind: Kind) -> Schema:
    scalar = ["string", "number", "boolean"]
    schemas: dict[Kind, Schema] = {
        "any": {},
        "text": {"type": "string"},
        "word": {"type": scalar},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "texts": _TEXTS,
        "pairs": {"type": "object", "additionalProperties": {"type": [*scalar, "null"]}},
        "os": {"enum": ["linux", "Linux"]},
        "rebuild": {"enum": list(AUTO_REBUILD)},
        "truth": {"type": "boolean"},
        "dependencies": {"type": "array", "items": {"anyOf": [{"type": "string"}, _PIP]}},
    }
    return schemas[kind] if kind in schemas else _of_noun(kind)


def _of_noun(kind: Kind) -> Schema:
    if kind == "conda":
        return {"anyOf": [{"type": "string"}, _object(definition.CondaSpec, CONDA)]}
    if kind == "build":
        return _object(definition.BuildContext, BUILD)
    if kind == "inference":
        return _object(definition.InferenceConfig, INFERENCE)
    if kind == "packages":
        return {"type": "array", "items": {"anyOf": [{"type": "string"}, _object(None, COORDINATE)]}}
    if kind == "spark":
        return _object(definition.SparkSpec, SPARK)
    return _object(definition.Route, ROUTE)

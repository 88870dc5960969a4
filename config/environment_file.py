"""Azure ML CLI v2 environment YAML, read unchanged; v1's `environment_variables` besides."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from .conda_file import CondaFile, conda_file
from .definition import BuildContext, Definition, Environment, InferenceConfig, Route
from .fields import AUTO_REBUILD, BUILD, ENVIRONMENT, INFERENCE, ROUTE, Table, known, unknown
from .places import Line, Place, missing, refusal
from .yaml_nodes import Value, parse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..errors import DefinitionError
    from .spark_section import SparkSection

_NAME_LIMIT = 255  # Azure ML's
_RESERVED = ("azureml", "microsoft")
# The grammar of the distribution spec: [host[:port]/]path[:tag][@digest]
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = re.compile(
    rf"(?:[A-Za-z0-9.-]+(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*(?::\w[\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?",
    re.ASCII,
)


def environment(document: Value, image: str | None = None) -> Environment:
    """Read an environment's mapping; `image` takes the place of the one it names."""
    document.forbid_placeholders()
    _forbid_misplaced(document)
    given = known(document, ENVIRONMENT)
    _check_choice(document, given, image)
    conda = _conda(given["conda_file"]) if "conda_file" in given else None
    spark = _spark(given["spark"]) if "spark" in given else None
    name, version, description = (
        given[key].word() if key in given else None for key in ("name", "version", "description")
    )
    return Environment(
        _definition(document, conda, spark, image),
        name,
        version,
        description,
        tags=given["tags"].pairs() if "tags" in given else (),
        auto_rebuild=_auto_rebuild(given["auto_rebuild"]) if "auto_rebuild" in given else "",
        smoke_test=given["smoke_test"].text() if "smoke_test" in given else "",
        source=document.path,
        lines=_lines(given, conda) | (spark.lines if spark else {}),
        warnings=(
            *_warnings(document, given),
            *(conda.warnings if conda else ()),
            *(spark.warnings if spark else ()),
        ),
    )


def _spark(value: Value) -> SparkSection:
    from .spark_section import spark_section  # few have one

    return spark_section(value)


def inline_environment(document: Value, image: str | None = None) -> Environment:
    """The environment within a job, component or deployment; it is anonymous, as in Azure ML."""
    value = document.fields()["environment"]
    if value.kind == "str":
        raise refusal(
            "the environment is named, not defined",
            value.place,
            found=value.word(),
            allowed="a mapping with `image:` or `build:`",
            hint="load the file that defines it",
        )
    found = environment(value, image)
    named = (f"{value.place}: `name` of an inline environment is ignored",) if found.name else ()
    return replace(found, name=None, version=None, warnings=(*found.warnings, *named))


def bare_environment(path: Path, packages: CondaFile, image: str | None) -> Environment:
    """The environment a conda or requirements file gives on a base image named beside it."""
    if image is None:
        entry = f"{{dependencies: [pip: [-r {path.name}]]}}" if path.suffix in {".txt", ".in"} else path.name
        raise refusal(
            "no base image",
            Place(path, 1),
            found="a list of packages without an image",
            allowed="an environment with `image:`",
            hint=f"pass --image, or write an environment file with `image:` and `conda_file: {entry}`",
        )
    definition = Definition(image=checked_image(Line(image, Place(path)), "--image"), conda=packages.spec)
    return Environment(definition, source=path, lines=_lines({}, packages), warnings=packages.warnings)


def _definition(
    document: Value, conda: CondaFile | None, spark: SparkSection | None, image: str | None
) -> Definition:
    given = known(document, ENVIRONMENT)
    return Definition(
        image=_image(given, image, document.path),
        build=_build(given["build"]) if "build" in given else None,
        conda=conda.spec if conda else None,
        environment_variables=_variables(given["environment_variables"])
        if "environment_variables" in given
        else (),
        inference_config=_inference(given["inference_config"]) if "inference_config" in given else None,
        os_type=_os_type(given["os_type"]) if "os_type" in given else "linux",
        spark=spark.spec if spark else None,
    )


def _image(given: dict[str, Value], argument: str | None, path: Path) -> str | None:
    own = given.get("image")
    if argument:
        return checked_image(Line(argument, Place(path)), "--image")
    return checked_image(Line(own.text(), own.place), "image") if own else None


def checked_image(line: Line, name: str) -> str:
    """The image reference that key or argument `name` gave, refused when no registry could read it."""
    if _REFERENCE.fullmatch(line.text):
        return line.text
    if "://" in line.text or line.text.startswith("azureml:"):
        hint = "write the image without a scheme; environments are not taken from a workspace here"
    elif line.text != line.text.lower():
        hint = "repositories are lower case"
    else:
        hint = "for example `docker.io/library/python:3.12-slim`"
    raise refusal(
        f"`{name}` is no image reference",
        line.place,
        found=line.text or "nothing",
        allowed="registry/repository[:tag][@sha256:digest]",
        hint=hint,
    )


def _check_choice(document: Value, given: dict[str, Value], image: str | None) -> None:
    """Azure ML's rule: exactly one of image and build, and conda only on an image."""
    if "build" not in given:
        if "image" not in given and image is None:
            raise _nothing_to_build_on(document)
    elif "image" in given or image:
        raise _excluded(given, "image" if "image" in given else "--image", "remove one of them")
    elif "conda_file" in given:
        raise _excluded(given, "conda_file", "install the packages in the Dockerfile, or use `image`")
    elif "spark" in given:
        raise _excluded(given, "spark", "fetch the jars in the Dockerfile, or use `image`")


def _excluded(given: dict[str, Value], other: str, hint: str) -> DefinitionError:
    build = given["build"].place
    return refusal(
        f"`build` and `{other}` exclude each other",
        given[other].place if other in given else build,
        found=f"`build` in line {build.line} and `{other}`",
        allowed="`image` with or without `conda_file` and `spark`, or `build` alone",
        hint=hint,
    )


def _nothing_to_build_on(document: Value) -> DefinitionError:
    fields = document.fields()
    found = f"keys {', '.join(fields)}" if fields else "an empty mapping"
    hint = "add `image:` with the base image, or `build:` with the folder of a Dockerfile"
    if "extra_config" in fields and "spec" in fields:
        hint = f"this manifest names the definition: load {fields['spec'].word()}"
    elif "jobs" in fields:
        hint = "a pipeline has one environment per job: put the one wanted in a file of its own"
    return refusal(
        "neither `image` nor `build` is given", document.place, found=found, allowed="one of them", hint=hint
    )


def _forbid_misplaced(document: Value) -> None:
    """Refuse what would silently lose a user's packages or be read as something else."""
    fields = document.fields()
    for key in (key for key in ("dependencies", "channels") if key in fields):
        raise refusal(
            f"`{key}` stands outside of `conda_file`",
            fields[key].place,
            found=f"key `{key}` in an environment",
            allowed=", ".join(ENVIRONMENT),
            hint="move it below `conda_file:`, or into a file that `conda_file:` names",
        )
    if "image" in fields and fields["image"].kind == "map":
        raise refusal(
            "`image` is a mapping: this is a build spec of azureml-assets, not an environment",
            fields["image"].place,
            found=f"keys {', '.join(fields['image'].fields())}",
            allowed="an image reference",
            hint="render its templates and write `build: {path: context, dockerfile_path: Dockerfile}`",
        )


def _conda(value: Value) -> CondaFile:
    if value.kind == "map":
        return conda_file(value)
    if value.kind != "str":
        raise value.wrong("a path or a mapping")
    return conda_file(parse(value.path.parent / value.text(), value.place))


def _build(value: Value) -> BuildContext:
    given = known(value, BUILD)
    name = given["path"].text()
    if "://" in name:
        hint = "clone or download it, and name the folder"
        raise refusal(
            "the build context is a URL", given["path"].place, found=name, allowed="a folder", hint=hint
        )
    path = value.path.parent / name
    if not path.is_dir():
        raise missing(path, given["path"].place, "folder")
    dockerfile = given["dockerfile_path"].text() if "dockerfile_path" in given else "Dockerfile"
    if not (path / dockerfile).is_file():
        raise _no_dockerfile(given.get("dockerfile_path", given["path"]), path, dockerfile)
    return BuildContext(path, dockerfile)


def _no_dockerfile(value: Value, context: Path, name: str) -> DefinitionError:
    """The path is relative to the context; users often give it relative to where they stand."""
    inner = name.removeprefix("./").removeprefix(f"{context.name}/")
    if inner != name and (context / inner).is_file():
        hint = f"it is relative to the build context: write `dockerfile_path: {inner}`"
        return refusal(
            f"Dockerfile `{name}` is not in the context", value.place, found=str(context / name), hint=hint
        )
    return missing(context / name, value.place)


def _variables(value: Value) -> tuple[tuple[str, str], ...]:
    for name, field in value.fields().items():
        if not re.fullmatch(r"[A-Za-z_][\w.-]*", name, re.ASCII):
            raise refusal(
                "a variable has an impossible name",
                field.place,
                found=name,
                allowed="letters, digits, `_`, not a digit first",
                hint="rename it",
            )
    return value.pairs()


def _inference(value: Value) -> InferenceConfig:
    given = known(value, INFERENCE)
    return InferenceConfig(**{key: _route(route) for key, route in given.items()})


def _route(value: Value) -> Route:
    given = known(value, ROUTE)
    port = given["port"]
    if port.kind != "int" or not port.word().isdecimal() or not 0 < int(port.word()) < 65536:
        raise port.wrong("a port, 1 to 65535")
    return Route(given["path"].text(), int(port.word()))


def _os_type(value: Value) -> str:
    if value.word().lower() == "linux":
        return "linux"
    hint = "remove `os_type`, or build this environment elsewhere"
    raise refusal(
        "this operating system is not supported", value.place, found=value.word(), allowed="linux", hint=hint
    )


def _auto_rebuild(value: Value) -> str:
    if value.word() not in AUTO_REBUILD:
        raise value.wrong(" or ".join(AUTO_REBUILD))
    return value.word()


def _lines(given: dict[str, Value], conda: CondaFile | None) -> dict[str, tuple[Path, int]]:
    places = {key: value.place for key, value in given.items()}
    places |= {line.text: line.place for line in (conda.lines if conda else ())}
    return {text: (place.path, place.line) for text, place in places.items()}


def _warnings(document: Value, given: dict[str, Value]) -> Iterator[str]:
    yield from unknown(document, ENVIRONMENT)
    for value, table in _nested(given):
        yield from unknown(value, table)
    name = given["name"].word() if "name" in given else ""
    if len(name) > _NAME_LIMIT:
        yield f"{given['name'].place}: `name` has {len(name)} characters, registering allows {_NAME_LIMIT}"
    if name.lower().startswith(_RESERVED):
        yield f"{given['name'].place}: names starting with AzureML or Microsoft cannot be registered"


def _nested(given: dict[str, Value]) -> Iterator[tuple[Value, Table]]:
    if "build" in given:
        yield given["build"], BUILD
    if "inference_config" in given:
        yield given["inference_config"], INFERENCE
        for route in known(given["inference_config"], INFERENCE).values():
            yield route, ROUTE

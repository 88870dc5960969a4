"""Read ACR's task files: YAML with aliases and Go templates in it, of versions up to v1.1.0.

    task = read_task(Path("task.yaml"), Given(run={"ID": "r1", "Registry": "registry.example.com"}))

In ACR's order: aliases are replaced in the text, the text is rendered, what comes out is YAML. Secrets never
stand in it: `env: NAME` or `file: PATH` says where one is, in place of ACR's `keyvault`.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from .fields import unknown
from .places import Line, Place, did_you_mean, read, refusal
from .task import Network, TaskFile, Volume
from .task_alias import Aliases, expand, read_aliases, section, without
from .task_keys import MOUNT, NETWORK, SECRET, TASK, VOLUME
from .task_steps import Surroundings, absolute, env_pairs, read_steps, step_warnings
from .task_values import flag, number, required, text, unique
from .template import Secret, render, veiled
from .yaml_nodes import parse, parse_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from .template import Rendered
    from .yaml_nodes import Value

VERSIONS = ("1.0-preview-1", "v1.0.0", "v1.1.0")
_WITH_ALIASES = "v1.1.0"


@dataclass(frozen=True)
class Given:
    """What a run gives its task file: `.Run`, `.Values` (of texts, mappings and Secrets), the environment."""

    run: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def read_values(path: Path) -> dict[str, Any]:
    """A values file: texts as written, in mappings."""
    return _texts(parse(path))


def read_task(path: Path, given: Given) -> TaskFile:
    """The task. Raises DefinitionError with file and line, and without any secret."""
    try:
        return _read(path, given)
    except DefinitionError as error:
        facts = {label: veiled(fact) for label, fact in error.facts.items()}
        raise DefinitionError(veiled(error.sentence), facts=facts, hint=veiled(error.hint)) from None


def _read(path: Path, given: Given) -> TaskFile:
    source, data = read(path), _data(given)
    aliases, shown = _aliases(source, data, path)
    source = expand(without(source, "alias"), aliases) if aliases.values else source
    found = _secrets(section(source, "secrets"), given, path)
    rendered = render(Line(source, Place(path, 1)), data | {"Secrets": found}, len(shown.secrets))
    task = _told(rendered, lambda: _task(parse_text(rendered.text, path), aliases))
    secrets = {**shown.secrets, **rendered.secrets}
    return replace(
        task,
        warnings=(*aliases.warnings, *shown.warnings, *rendered.warnings, *task.warnings),
        commit=given.run.get("Commit", ""),
        secrets=secrets,
        hidden=tuple({*secrets.values(), *(each.value for each in _all_secrets([found, given.values]))}),
    )


def _told(rendered: Rendered, read_it: Callable[[], TaskFile]) -> TaskFile:
    """What is read; a refusal tells which fields were empty: they are the likely cause."""
    try:
        return read_it()
    except DefinitionError as error:
        empty = {"empty": "\n".join(rendered.warnings)} if rendered.warnings else {}
        raise DefinitionError(error.sentence, facts=error.facts | empty, hint=error.hint) from None


def _data(given: Given) -> dict[str, Any]:
    """What templates may ask for, but for `.Secrets`."""
    run, values = dict(given.run), dict(given.values)
    return {
        "Run": run,
        "Build": {"ID": run.get("ID", "")},
        "Values": values,
        "Secrets": {},
        "RunJSON": shlex.quote(json.dumps(run)),
        "ValuesJSON": _json(values),
    }


def _json(values: Mapping[str, Any]) -> str | Secret:
    """All values in quotes for a shell; a secret if one of them is."""
    quoted = shlex.quote(json.dumps(values, default=lambda secret: secret.value))
    return Secret(quoted) if any(_all_secrets(values)) else quoted


def _aliases(source: str, data: Mapping[str, Any], path: Path) -> tuple[Aliases, Rendered]:
    """What the file's version knows of them, and its rendered alias section."""
    rendered = render(Line(section(source, "alias"), Place(path, 1)), data)
    version = re.search(r"""^['"]?version['"]?\s*:\s*['"]?([^'"\s]*)""", source, re.MULTILINE)
    if version is None or version[1].lower() != _WITH_ALIASES:
        return Aliases(), rendered
    return read_aliases(rendered, path), rendered


def _secrets(source: str, given: Given, path: Path) -> dict[str, Secret]:
    """The values of a `secrets:` section, by id."""
    rendered = render(Line(source, Place(path, 1)), _data(given))
    if not rendered.text.strip():
        return {}
    items = parse_text(rendered.text, path).fields()["secrets"].items()
    named = [(text(required(item, "id")), item) for item in items]
    unique(named, "secrets")
    return {name: _secret(name, item, given) for name, item in named}


def _secret(name: str, value: Value, given: Given) -> Secret:
    fields, passed = value.fields(), given.values.get(name)
    if isinstance(passed, Secret):
        return passed
    if "env" in fields:
        return _from_variable(fields["env"], given.environ)
    if "file" in fields:
        source = fields["file"]
        return Secret(read(source.path.parent / text(source), source.place).removesuffix("\n"))
    raise refusal(
        "a secret's value is not known",
        value.place,
        found=f"`{name}` in a key vault" if "keyvault" in fields else f"`{name}` without a source",
        allowed="`env: NAME` or `file: PATH`",
        hint=f"key vaults are not asked: pass --set-secret {name}=env:NAME, or write `env:` or `file:`",
    )


def _from_variable(value: Value, environ: Mapping[str, str]) -> Secret:
    name = text(value)
    if name not in environ:
        hint = did_you_mean(name, environ) or f"set {name} where the run starts"
        raise refusal("a secret's variable is not set", value.place, found=name, hint=hint)
    return Secret(environ[name])


def _all_secrets(found: Any) -> Iterator[Secret]:
    if isinstance(found, Secret):
        yield found
    for each in found.values() if isinstance(found, dict) else found if isinstance(found, list) else ():
        yield from _all_secrets(each)


def _task(document: Value, aliases: Aliases) -> TaskFile:
    given = {key: value for key, value in document.fields().items() if value.kind != "null"}
    around = Surroundings(
        timeout=(number(given["stepTimeout"]) if "stepTimeout" in given else 0) or Surroundings.timeout,
        folder=absolute(text(given["workingDirectory"]) if "workingDirectory" in given else ""),
        env=env_pairs(given["env"]) if "env" in given else (),
        images=aliases.values,
        volumes=_volumes(given["volumes"]) if "volumes" in given else (),
        networks=_networks(given["networks"]) if "networks" in given else (),
    )
    steps = required(document, "steps")
    return TaskFile(
        document.path,
        _version(given.get("version")),
        read_steps(steps, around),
        around.volumes,
        around.networks,
        tuple(_warnings(document, given)),
    )


def _version(value: Value | None) -> str:
    if value is None:
        return "v1.0.0"
    if text(value).lower() not in VERSIONS:
        hint = did_you_mean(text(value).lower(), VERSIONS) or f"write `version: {VERSIONS[-1]}`"
        raise refusal(
            "the version is not known", value.place, found=text(value), allowed=", ".join(VERSIONS), hint=hint
        )
    return text(value).lower()


def _volumes(value: Value) -> tuple[Volume, ...]:
    volumes = [(_volume(item), item) for item in value.items()]
    unique([(volume.name, item) for volume, item in volumes], "volumes")
    return tuple(volume for volume, _ in volumes)


def _volume(value: Value) -> Volume:
    name, files = required(value, "name"), required(value, "secret")
    if not re.fullmatch("[A-Za-z0-9_-]+", text(name)):
        allowed = "letters, digits, `-`, `_`"
        raise refusal(
            "a volume's name is impossible", name.place, found=text(name), allowed=allowed, hint="rename it"
        )
    for file in files.fields():
        if "/" in file or file in (".", ".."):
            raise refusal(
                "a file of a volume has a path", files.place, found=file, hint="give it a name without `/`"
            )
    return Volume(text(name), tuple((file, text(content)) for file, content in files.fields().items()))


def _networks(value: Value) -> tuple[Network, ...]:
    items = value.items()
    unique([(text(required(item, "name")), item) for item in items], "networks")
    return tuple(_network(item) for item in items)


def _network(value: Value) -> Network:
    given = value.fields()
    flags = {key: key in given and flag(given[key]) for key in ("ipv6", "skipCreation", "isDefault")}
    driver = text(given["driver"]) if "driver" in given else Network.driver
    return Network(text(given["name"]), driver, flags["ipv6"], flags["skipCreation"], flags["isDefault"])


def _texts(value: Value) -> dict[str, Any]:
    return {
        key: _texts(each) if each.kind == "map" else "" if each.kind == "null" else text(each)
        for key, each in value.fields().items()
    }


def _warnings(document: Value, given: Mapping[str, Value]) -> Iterator[str]:
    yield from unknown(document, TASK)
    if "alias" in given:
        yield f"{given['alias'].place}: `alias` is ignored: aliases need `version: {_WITH_ALIASES}`"
    for item in given["env"].items() if "env" in given else ():
        if "," in text(item):
            yield f"{item.place}: ACR splits an entry of the task's `env` at commas; here it is one variable"
    for key, table in (("volumes", VOLUME), ("networks", NETWORK), ("secrets", SECRET)):
        for item in given[key].items() if key in given else ():
            yield from unknown(item, table)
    for item in given["secrets"].items() if "secrets" in given else ():
        if "clientID" in item.fields():
            yield f"{item.fields()['clientID'].place}: `clientID` is ignored: there are no identities here"
    yield from step_warnings(given["steps"])
    for step in given["steps"].items():
        for mount in step.fields()["volumeMounts"].items() if "volumeMounts" in step.fields() else ():
            yield from unknown(mount, MOUNT)

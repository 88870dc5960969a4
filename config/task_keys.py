"""What task files may hold, and where a key means something: the tables the reader uses.

Source: https://learn.microsoft.com/azure/container-registry/container-registry-tasks-reference-yaml and, for
keys the page does not list, https://github.com/Azure/acr-builder/blob/main/graph/step.go
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "flag", "texts", "mounts", "any"]
Action = Literal["build", "push", "cmd"]
ACTIONS: tuple[Action, ...] = ("build", "push", "cmd")
_ENGINE = "`docker build` runs in the engine, not in a container of the step"
_NO_CONTAINER = "a push runs no container"


@dataclass(frozen=True)
class Key:
    """What a step's key holds; for which actions it means nothing, and why."""

    kind: Kind
    idle: dict[Action, str]


def _always(why: str) -> dict[Action, str]:
    return dict.fromkeys(ACTIONS, why)


def _container(kind: Kind) -> Key:
    return Key(kind, {"build": _ENGINE, "push": _NO_CONTAINER})


def _tried(kind: Kind) -> Key:
    return Key(kind, {"push": "a push is tried three times anyway"})


TASK = (
    "version",
    "stepTimeout",
    "workingDirectory",
    "env",
    "secrets",
    "networks",
    "volumes",
    "alias",
    "steps",
)
ALIAS = ("values", "src", "directive")
VOLUME = ("name", "secret")
MOUNT = ("name", "mountPath")
NETWORK = ("name", "driver", "ipv6", "skipCreation", "isDefault")
SECRET = ("id", "keyvault", "clientID", "env", "file")
STEP = {
    "build": Key("text", {}),
    "push": Key("texts", {}),
    "cmd": Key("text", {}),
    "id": Key("text", {}),
    "when": Key("texts", {}),
    "timeout": Key("number", {}),
    "startDelay": Key("number", {}),
    "ignoreErrors": Key("flag", {}),
    "env": Key("texts", {"push": _NO_CONTAINER}),
    "workingDirectory": Key("text", {"push": _NO_CONTAINER}),
    "retries": _tried("number"),
    "retryDelay": _tried("number"),
    "retryOnErrors": _tried("texts"),
    "repeat": Key("number", {"push": "a push has nothing to repeat"}),
    "pull": Key("flag", {"push": "a push pulls nothing"}),
    "cmdDownloadRetries": _container("number"),
    "cmdDownloadRetryDelay": _container("number"),
    "keep": _container("flag"),
    "detach": _container("flag"),
    "privileged": _container("flag"),
    "disableWorkingDirectoryOverride": _container("flag"),
    "entryPoint": _container("text"),
    "user": _container("text"),
    "network": _container("text"),
    "cpus": _container("text"),
    "ports": _container("texts"),
    "expose": _container("texts"),
    "volumeMounts": _container("mounts"),
    "isolation": Key("text", _always("Linux containers have no isolation mode")),
    "cache": Key("text", _always("the engine keeps its build cache from run to run")),
    "exitedWith": Key("any", _always("ACR reads it and does nothing with it either")),
    "exitedWithout": Key("any", _always("ACR reads it and does nothing with it either")),
    "secret": Key("any", _always("a step has no secrets of its own; declare them in `secrets:` at the top")),
}

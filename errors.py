"""Every error a user can see.

    PrebakeError
    ├── DefinitionError      the definition cannot be read or contradicts itself      exit 2
    ├── SettingsError        settings, references or arguments make no sense          exit 2
    │   └── ConflictError    a name and version is taken by another definition        exit 2
    ├── SolveError           no set of packages satisfies the definition              exit 3
    ├── PackageError         an archive is unusable: no digest, hostile, clobbering   exit 3
    ├── IntegrityError       bytes are not what their digest says                     exit 4
    ├── StoreError           the local store cannot be read or written (disk full)    exit 5
    ├── RegistryError        a registry refused or answered nonsense                  exit 6
    ├── Unreachable          nobody answered: registry, channel, index, engine        exit 7  retryable
    ├── EngineError          the Docker Engine or a command in a container failed     exit 8
    ├── RunCanceled          somebody canceled the remote run                         exit 1
    └── RunUnfinished        a remote run broke, or was not done in time              exit 7  retryable

An error has three parts: a sentence, facts (label -> value, shown aligned) and a hint.

    >>> print(DefinitionError("no image", facts={"file": "env.yml"}, hint="add `image:`"))
    error: no image
      file  env.yml
    hint: add `image:`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class PrebakeError(Exception):
    """Base of all errors a user can see; `retryable` tells whether trying again may help."""

    exit_code = 1
    retryable = False

    def __init__(self, sentence: str, *, facts: Mapping[str, object] | None = None, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.facts = {label: str(value) for label, value in (facts or {}).items()}
        self.hint = hint

    def __str__(self) -> str:
        width = max((len(label) for label in self.facts), default=0)
        indent = "\n" + " " * (width + 4)
        texts = {label: value.replace("\n", indent) for label, value in self.facts.items()}
        facts = [f"  {label:<{width}}  {text}" for label, text in texts.items()]
        hint = [f"hint: {self.hint}"] if self.hint else []
        return "\n".join([f"error: {self.sentence}", *facts, *hint])

    def to_json(self) -> dict[str, object]:
        """The same three parts for scripts, with the name of the class in the tree above as `type`."""
        kind = next(each for each in type(self).__mro__ if each.__module__ == __name__)
        return {
            "error": self.sentence,
            "type": kind.__name__,
            "facts": self.facts,
            "hint": self.hint,
            "retryable": self.retryable,
        }


class DefinitionError(PrebakeError):
    """The definition cannot be read, is incomplete or contradicts itself."""

    exit_code = 2


class SettingsError(PrebakeError):
    """Settings, a reference or an argument makes no sense."""

    exit_code = 2


class ConflictError(SettingsError):
    """A name and version, or a number once given, already stands for something else."""


class SolveError(PrebakeError):
    """No set of packages satisfies the definition on the target."""

    exit_code = 3


class PackageError(PrebakeError):
    """An archive cannot be used: without digest, hostile, clobbering, wrong kind."""

    exit_code = 3


class IntegrityError(PrebakeError):
    """Bytes are not what their digest says."""

    exit_code = 4


class StoreError(PrebakeError):
    """The local store cannot be read or written."""

    exit_code = 5


class RegistryError(PrebakeError):
    """A registry refused a request or answered nonsense."""

    exit_code = 6


class Unreachable(PrebakeError):
    """Nobody answered: a registry, a channel, an index or the Docker Engine."""

    exit_code = 7
    retryable = True


class EngineError(PrebakeError):
    """The Docker Engine, or a command run through it, failed."""

    exit_code = 8


class RunCanceled(PrebakeError):
    """A remote run was canceled."""


class RunUnfinished(PrebakeError):
    """A remote run broke, ran out of its time, or was not done when the caller would wait no longer."""

    exit_code = 7
    retryable = True


def from_json(data: Mapping[str, Any]) -> PrebakeError:
    """The error that `to_json` told, perhaps on another machine.

    >>> from_json(SolveError("no").to_json()).exit_code
    3
    """
    kinds = {kind.__name__: kind for kind in PrebakeError.__subclasses__()}
    kind = kinds.get(data["type"], PrebakeError)
    return kind(data["error"], facts=data["facts"], hint=data["hint"])

"""The set: a folder for each environment, with its `environment.yml` and its `smoke.py`.

The definition may be a template (config/curated_template.py); the smoke test runs in a container of the
image, without a network, and fails by its exit code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...config.places import did_you_mean
from ...config.yaml_nodes import parse
from ...errors import DefinitionError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable

OWN_SET = Path(__file__).parents[2] / "config" / "curated"
DEFINITION = "environment.yml"
SMOKE = "smoke.py"


@dataclass(frozen=True)
class Curated:
    """An environment of the set, by its folder."""

    folder: Path

    @property
    def name(self) -> str:
        """Its name, which is the last part of its repository's."""
        return self.folder.name

    @property
    def definition(self) -> Path:
        """What is built."""
        return self.folder / DEFINITION

    @property
    def smoke(self) -> str:
        """The program that has to succeed in the image. Raises DefinitionError."""
        file = self.folder / SMOKE
        try:
            return file.read_text()
        except OSError as error:
            sentence, facts = (
                "a curated environment has no smoke test",
                {"file": file, "reason": error.strerror},
            )
            hint = f"write a {SMOKE} that imports what matters and does a small task with it"
            raise DefinitionError(sentence, facts=facts, hint=hint) from error

    @property
    def description(self) -> str:
        """What it is for. Raises DefinitionError."""
        told = parse(self.definition).fields().get("description")
        return told.word() if told else ""


def find(names: Iterable[str], folder: Path | None) -> tuple[Curated, ...]:
    """Those environments of the set, all if none is named; by name. Raises SettingsError."""
    root = folder or OWN_SET
    known = {file.parent.name: Curated(file.parent) for file in sorted(root.glob(f"*/{DEFINITION}"))}
    if not known:
        hint = f"write FOLDER/NAME/{DEFINITION}, or leave `curated_set` out"
        raise SettingsError("there is no curated environment", facts={"folder": root}, hint=hint)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or "`prebake curated list` shows them all"
            raise SettingsError(f"`{name}` is not a curated environment", facts={"set": root}, hint=hint)
    return tuple(known[name] for name in sorted(set(names) or known))

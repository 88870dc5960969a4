"""`prebake env`: registered environments, a verb each for what one may want of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import env_change as change
from . import env_files as files
from . import env_show as shows
from .verbs import Verb, add_verbs, run_verb

if TYPE_CHECKING:
    import argparse

EXAMPLES = """
  prebake env register env.yml --name vision
  prebake env diff vision:1 vision:2
  prebake build vision@latest --to registry.example.com/team/vision:v2"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "env", _VERBS)


run = run_verb

_VERBS = {
    "register": Verb(
        "register an environment; the same definition again is the same version",
        (" env.yml", " conda.yaml --image debian:12 --name vision --version 2.1 --tag team=vision"),
        change.register_options,
        change.register,
    ),
    "list": Verb(
        "list names, each with its newest version", ("", " --archived"), shows.list_options, shows.list_names
    ),
    "show": Verb(
        "show a version: definition, labels, what it was resolved to, images",
        (" vision", " vision:2 --json"),
        shows.reference_option,
        shows.show,
    ),
    "versions": Verb(
        "list the versions of a name", (" vision",), shows.versions_options, shows.list_versions
    ),
    "diff": Verb(
        "tell what two versions, or two resolutions of one, differ in",
        (" vision:1 vision:2", " vision:2 --locks", " vision:2 --locks 1 3 --json"),
        shows.diff_options,
        shows.diff,
    ),
    "clone": Verb(
        "copy a definition to another name", (" vision:2 speech",), change.clone_options, change.clone
    ),
    "edit": Verb(
        "change description and tags; nothing else of a version changes",
        (" vision:2 --description 'for the labs' --tag team=a --untag old",),
        change.edit_options,
        change.edit,
    ),
    "tag": Verb("set tags", (" vision:2 team=a stage=",), change.tag_options, change.tag),
    "label": Verb(
        "let a label point at a version, and no other",
        (" vision:2 prod", " vision prod --remove"),
        change.label_options,
        change.label,
    ),
    "archive": Verb(
        "hide from lists and from @latest; references still work",
        (" vision:1", " vision"),
        change.whole_option,
        change.archive,
    ),
    "restore": Verb("undo archive", (" vision:1", " vision"), change.whole_option, change.restore),
    "delete": Verb(
        "forget for good; the number is never given again, images stay",
        (" vision:1", " vision --force"),
        change.delete_options,
        change.delete,
    ),
    "export": Verb(
        "write versions, their locks and build contexts to a file",
        (" vision -o vision.zip", " -o everything.zip"),
        files.export_options,
        files.export,
    ),
    "import": Verb(
        "register what export wrote, all or nothing", (" vision.zip",), files.import_options, files.import_
    ),
}

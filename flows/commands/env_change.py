"""`prebake env register|edit|tag|label|archive|restore|delete|clone`: what changes the catalog."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .env_show import reference_option
from .options import file_options, load
from .verbs import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable


def register_options(parser: argparse.ArgumentParser) -> None:
    """Of `register`."""
    file_options(parser)
    parser.add_argument("--name", help="in place of the file's")
    parser.add_argument("--version", help="in place of the file's; default: the next number")
    _description_options(parser)


def register(options: argparse.Namespace) -> int:
    """Register a file's environment and print its reference."""
    from ..progress import shown
    from ..registered import register as register_it
    from ..wiring import open_workspace

    environment = load(options)
    given = {"name": options.name, "version": options.version, "description": options.description}
    tags = dict(environment.tags) | _pairs(options.tag)
    environment = replace(
        environment,
        tags=tuple(tags.items()),
        **{field: value for field, value in given.items() if value is not None},
    )
    with shown(quiet=options.json) as progress:
        version = register_it(environment, open_workspace(), progress)
    say(version.to_json(), version.title, options)
    return 0


def edit_options(parser: argparse.ArgumentParser) -> None:
    """Of `edit`."""
    reference_option(parser)
    _description_options(parser)
    parser.add_argument("--untag", action="append", default=[], metavar="KEY", help="take a tag away")


def edit(options: argparse.Namespace) -> int:
    """Change description and tags."""
    tags = _pairs(options.tag) | dict.fromkeys(options.untag)
    return _edit(options, options.description, tags)


def tag_options(parser: argparse.ArgumentParser) -> None:
    """Of `tag`."""
    reference_option(parser)
    parser.add_argument("tags", nargs="+", metavar="KEY=VALUE", help="KEY= takes the tag away")


def tag(options: argparse.Namespace) -> int:
    """Change tags."""
    return _edit(options, None, {key: value or None for key, value in _pairs(options.tags).items()})


def label_options(parser: argparse.ArgumentParser) -> None:
    """Of `label`."""
    reference_option(parser)
    parser.add_argument("label", metavar="LABEL", help="NAME@LABEL means REF from now on")
    parser.add_argument("--remove", action="store_true", help="take the label from NAME")


def label(options: argparse.Namespace) -> int:
    """Move a label, or take it away."""
    from ...config.catalog.reference import parse
    from ..wiring import open_workspace

    catalog = open_workspace().catalog
    if options.remove:
        version = catalog.unlabel(parse(options.reference).name, options.label)
        say(version.to_json(), f"{version.name}@{options.label} means nothing any more", options)
    else:
        version = catalog.label(options.reference, options.label)
        say(version.to_json(), f"{version.name}@{options.label} means {version.title}", options)
    return 0


def whole_option(parser: argparse.ArgumentParser) -> None:
    """A version, or a name with all its versions."""
    text = "NAME:VERSION or NAME@LABEL; NAME alone means all its versions"
    parser.add_argument("reference", metavar="REF", help=text)


def archive(options: argparse.Namespace) -> int:
    """Hide a version, or a whole name."""
    from ..wiring import open_workspace

    open_workspace().catalog.archive(options.reference)
    say({"archived": options.reference}, f"{options.reference} is archived", options)
    return 0


def restore(options: argparse.Namespace) -> int:
    """Show it again."""
    from ..wiring import open_workspace

    open_workspace().catalog.restore(options.reference)
    say({"restored": options.reference}, f"{options.reference} is active", options)
    return 0


def delete_options(parser: argparse.ArgumentParser) -> None:
    """Of `delete`."""
    whole_option(parser)
    parser.add_argument("--force", action="store_true", help="take the labels away that point at it")


def delete(options: argparse.Namespace) -> int:
    """Delete it for good and list the images that stay."""
    from ..registered import forget, unlabel_all
    from ..wiring import open_workspace

    workspace = open_workspace()
    if options.force:
        unlabel_all(options.reference, workspace)
    images = forget(options.reference, workspace)
    lines = [f"{options.reference} is deleted", *(f"this image stays: {image}" for image in images)]
    say({"deleted": options.reference, "images": list(images)}, "\n".join(lines), options)
    return 0


def clone_options(parser: argparse.ArgumentParser) -> None:
    """Of `clone`."""
    reference_option(parser)
    parser.add_argument("name", metavar="NAME", help="the copy's; its versions start from 1")


def clone(options: argparse.Namespace) -> int:
    """Register the definition under another name."""
    from ..registered import clone as clone_it
    from ..wiring import open_workspace

    version = clone_it(options.reference, options.name, open_workspace())
    say(version.to_json(), version.title, options)
    return 0


def _description_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--description", help="what it is for")
    parser.add_argument("--tag", action="append", default=[], metavar="KEY=VALUE", help="for searching")


def _edit(options: argparse.Namespace, description: str | None, tags: dict[str, str | None]) -> int:
    from ..wiring import open_workspace

    version = open_workspace().catalog.edit(options.reference, description, tags)
    say(version.to_json(), version.title, options)
    return 0


def _pairs(texts: Iterable[str]) -> dict[str, str]:
    from ...errors import SettingsError

    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            hint = "write KEY=VALUE; a name for a version is a label: `prebake env label REF LABEL`"
            raise SettingsError(f"`{text}` is no tag", hint=hint)
        pairs[key] = value
    return pairs

"""`prebake build`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import load, order, plan_options, quiet_option, remote_options, request, say_built, tell

if TYPE_CHECKING:
    import argparse

    from ...config.definition import Environment
    from ..built import Built
    from ..progress import Progress
    from ..wiring import Request, Workspace

EXAMPLES = """
  prebake build env.yml --to registry.example.com/team/vision:v1
  prebake build conda.yaml --image debian:12 --to docker:vision
  prebake build env.yml --to oci:out:v1 --json
  prebake build env.yml --to registry.example.com/team/vision:v1 --remote"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    places = "HOST/REPO:TAG, oci:FOLDER[:TAG] or docker:NAME; default: the local store"
    plan_options(parser).add_argument("--to", metavar="DEST", help=places)
    quiet_option(parser)
    where = remote_options(parser).add_mutually_exclusive_group()
    elsewhere = "by a worker of the server that `prefect_api` names; --lane and time-outs are for it"
    where.add_argument("--remote", action="store_true", help=elsewhere)
    how = "build as a Prefect flow: a task per layer, shown by the server that PREFECT_API_URL names"
    where.add_argument(
        "--flow", dest="build", action="store_const", const=_as_flow, default=_plainly, help=how
    )


def run(options: argparse.Namespace) -> int:
    """Build and print where the image is."""
    if options.remote:
        return _run_remotely(options)
    from ..progress import shown

    with shown(quiet=options.quiet or options.json) as progress:
        built = _built(options, progress)
    say_built(built.to_json(), options)
    return 0


def _run_remotely(options: argparse.Namespace) -> int:
    """The same from a remote run."""
    from ..progress import Lines, Silent
    from ..runs.remote import result
    from ..runs.submitting import submit
    from ..wiring import open_workspace

    workspace, progress = open_workspace(), Silent() if options.quiet or options.json else Lines()
    submitted = submit(order(options), workspace, progress)
    say_built(result(submitted, workspace, progress), options)
    return 0


def _built(options: argparse.Namespace, progress: Progress) -> Built:
    """By the file's bytes if they are known, else by what the file says."""
    from ..shortcut import recall_file, remember_file
    from ..wiring import open_workspace

    workspace, asked = open_workspace(), request(options)
    found = recall_file(options.file, options.image, asked, workspace, progress)
    if found:
        tell(found[1], options)
        return found[0]
    environment = load(options)
    remember_file(environment, options.image, workspace)
    built: Built = options.build(options, environment, asked, workspace, progress)
    return built


def _plainly(
    options: argparse.Namespace, environment: Environment, asked: Request, at: Workspace, progress: Progress
) -> Built:
    from ..ensure import ensure

    return ensure(environment, asked, at, progress)


def _as_flow(
    options: argparse.Namespace, environment: Environment, asked: Request, at: Workspace, progress: Progress
) -> Built:
    """A hit is answered before Prefect is imported, which takes a second."""
    from ..runs.server import for_flows
    from ..shortcut import recall_file

    found = recall_file(options.file, options.image, asked, at, progress)
    if found:
        return found[0]
    with for_flows(at):
        from ..runs.flow import build_here

        return build_here(environment, asked, at, progress)

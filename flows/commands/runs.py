"""`prebake runs`: a verb each for what one may want of remote runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .options import file_options, order, remote_options, say_built, solve_options
from .verbs import Verb, add_verbs, run_verb

if TYPE_CHECKING:
    import argparse

    from ..runs.api import Api
    from ..runs.submitting import Submitted

EXAMPLES = """
  prebake runs submit env.yml --to registry.example.com/team/vision:v1
  prebake runs list --state Running
  prebake runs logs 3f2a91c0 -f"""


def options(parser: argparse.ArgumentParser) -> None:
    """Declare the verbs."""
    add_verbs(parser, "runs", _VERBS)


run = run_verb


def _submit_options(parser: argparse.ArgumentParser) -> None:
    places = "HOST/REPO:TAG; default: a tag of its own in the workspace's registry"
    remote_options(solve_options(file_options(parser))).add_argument("--to", metavar="DEST", help=places)
    waits = parser.add_mutually_exclusive_group()
    waits.add_argument("--wait", action="store_true", help="follow its log until it ends")
    waits.add_argument("--no-wait", dest="wait", action="store_false", help="the default")


def _list_options(parser: argparse.ArgumentParser) -> None:
    states = "only of this state: Queued, Started, Running, Succeeded, Failed, Canceled, Error or Timeout"
    parser.add_argument("--state", default="", help=states)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="so many at most (default: 20)")


def _run_options(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument(
        "id", metavar="ID", help="of the run, or so much of its start that it is the only one"
    )
    return parser


def _logs_options(parser: argparse.ArgumentParser) -> None:
    _run_options(parser).add_argument("-f", "--follow", action="store_true", help="until the run ends")


def _submit(options: argparse.Namespace) -> int:
    from ..progress import Lines, Silent
    from ..runs.remote import result
    from ..runs.submitting import submit
    from ..wiring import open_workspace

    workspace, progress = open_workspace(), Silent() if options.json else Lines()
    submitted = submit(order(options), workspace, progress)
    if not options.wait:
        print(json.dumps(submitted.to_json()) if options.json else _told(submitted))
        return 0
    say_built(result(submitted, workspace, progress), options)
    return 0


def _told(submitted: Submitted) -> str:
    """What was found, the run, where the image will be."""
    found = [f"{'note':<11}{submitted.note}"] if submitted.note else []
    run = [f"{'run':<11}{submitted.run.id}"] if submitted.run else []
    return "\n".join([*found, *run, f"{'reference':<11}{submitted.reference}"])


def _list(options: argparse.Namespace) -> int:
    from ..runs.client import check_state, runs
    from ..runs.describe import HEADER, line

    state = check_state(options.state)
    found = runs(_api(), max(options.limit, 1), state=state)
    if options.json:
        print(json.dumps({"runs": [each.to_json() for each in found]}))
    else:
        print("\n".join([HEADER, *map(line, found)]))
    return 0


def _show(options: argparse.Namespace) -> int:
    from ..runs.client import find
    from ..runs.describe import described, page

    api = _api()
    told = described(api, find(api, options.id))
    print(json.dumps(told) if options.json else page(told))
    return 0


def _logs(options: argparse.Namespace) -> int:
    from ..runs.client import find
    from ..runs.following import follow, log

    api = _api()
    found = find(api, options.id)
    if options.follow:
        follow(api, found, _say)
    else:
        log(api, found, _say)
    return 0


def _cancel(options: argparse.Namespace) -> int:
    from ..runs.client import cancel, find

    api = _api()
    found = find(api, options.id)
    now = cancel(api, found)
    note = "" if now.is_final else ", its worker is about to end it"
    ended = " already" if found.is_final else ""
    print(json.dumps(now.to_json()) if options.json else f"{now.id} is {now.state}{ended}{note}")
    return 0


def _api() -> Api:
    from ..runs.api import connect
    from ..wiring import open_workspace

    return connect(open_workspace())


def _say(text: str) -> None:
    print(text, flush=True)


_VERBS = {
    "submit": Verb(
        "have an environment built elsewhere; print the run and where its image will be",
        (" env.yml", " env.yml --to registry.example.com/team/vision:v1 --wait"),
        _submit_options,
        _submit,
    ),
    "list": Verb("list runs, the newest first", ("", " --state Failed --json"), _list_options, _list),
    "show": Verb("show times, steps, images and error of a run", (" 3f2a91c0",), _run_options, _show),
    "logs": Verb("print a run's log, which is kept for 30 days", (" 3f2a91c0 -f",), _logs_options, _logs),
    "cancel": Verb("end a run", (" 3f2a91c0",), _run_options, _cancel),
}

"""A server that restarts, its database kept, loses nothing."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from conftest import SampleWorld
from prebake.flows.runs import states
from world.prefect import prefect, worker
from world.services import free_port

from .conftest import site_at


def test_a_run_outlives_its_server(tiny: SampleWorld, tmp_path: Path) -> None:
    database, port = tmp_path / "database", free_port()
    with site_at(tiny, tmp_path, f"http://127.0.0.1:{port}/api") as site, ExitStack() as stack:
        with prefect(database, port):
            stack.enter_context(worker(site.environ, tmp_path / "worker.log"))
            site.slow(2.0)
            run, queued = site.submit("part-a"), site.submit("part-b", lane="warming")
            site.logged(run, "pushing")
        with prefect(database, port):
            for each in (run, queued):
                assert site.end(each)[0] == states.SUCCEEDED
            stack.close()

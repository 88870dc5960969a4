"""Lanes are served in their order, and bulk work never holds every slot."""

from __future__ import annotations

from prebake.flows.runs import client, states
from world.prefect import worker

from .conftest import Site


def test_an_on_demand_run_overtakes_bulk_work(site: Site) -> None:
    site.slow()
    with worker(site.environ, site.folder / "worker.log", "--slots", "1"):
        bulk = site.submit("part-a", lane="warming")
        site.logged(bulk, "pushing")
        waiting = [site.submit("part-b", lane="warming"), site.submit("part-c", lane="curated")]
        urgent = site.submit("part-d")
        assert site.end(urgent)[0] == states.SUCCEEDED
        assert client.read(site.api, bulk).state == states.RUNNING
        assert [client.read(site.api, run).state for run in waiting] == [states.QUEUED] * 2
        client.cancel(site.api, bulk)
        for run in waiting:
            assert site.end(run)[0] == states.SUCCEEDED
        warming, curated = (client.read(site.api, run).started for run in waiting)
        assert warming and curated and curated < warming

"""Remote runs at work: PostgreSQL, two workers with stores of their own, a team's registry.

    python tests/bench/remote.py

20 environments at once, each layer once; an on-demand run beside 50 of a bulk lane; what it takes until a run
is taken up after its worker was killed, and after the server was. Seconds.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from conftest import CONDA_FORGE, ROOT, SampleWorld
from prebake.config.load import load
from prebake.flows.destination import Destination
from prebake.flows.progress import Silent
from prebake.flows.runs import client, states
from prebake.flows.runs.api import PATIENT, connect
from prebake.flows.runs.client import Run
from prebake.flows.runs.submission import Order, Terms
from prebake.flows.runs.submitting import submit
from prebake.flows.wiring import Request, Workspace, open_workspace
from tiny import PARTS, SETTINGS, tiny_file, tiny_world
from world import faults
from world.faults import Fault
from world.postgres import postgres
from world.prefect import prefect, worker
from world.services import free_port


class Bench:
    """A team: its registry behind a proxy, its settings, a desk to submit from."""

    def __init__(
        self, tiny: SampleWorld, folder: Path, shared: dict[str, str], registry: faults.Proxy
    ) -> None:
        self._tiny, self._folder, self._shared, self.registry = tiny, folder, shared, registry
        self.desk: Workspace = open_workspace(self.environ("desk"), folder)
        self.api = connect(self.desk, PATIENT)

    def environ(self, machine: str) -> dict[str, str]:
        return self._tiny.environ(self._folder / machine) | SETTINGS | self._shared

    def submit(self, parts: tuple[str, ...], lane: str = "on-demand") -> Run:
        file = tiny_file(self._folder / "files", parts)
        to = Destination.parse(f"{self.registry.host}/runs/images:{file.stem}")
        order = Order(load(file, image=self._tiny.base), self._tiny.base, Request(to), Terms(lane))
        run = submit(order, self.desk, Silent()).run
        assert run
        return run

    def end(self, run: Run) -> Run:
        while not (now := client.read(self.api, run)).is_final:
            time.sleep(0.2)
        assert now.state == states.SUCCEEDED, now
        return now

    def until_pushing(self, run: Run) -> None:
        sought = {"logs": {"flow_run_id": {"any_": [run.id]}}}
        while not any(line["message"] == "pushing" for line in self.api.post("/logs/filter", sought)):
            time.sleep(0.1)

    def slow(self, seconds: float) -> None:
        push = Fault(
            lambda seen: seen.method == "PUT" and "/runs/images/manifests/" in seen.path, delay=seconds
        )
        self.registry.faults.append(push)


def main() -> None:
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        services = SampleWorld(ROOT / ".world", folder, "", "", stack)
        tiny = stack.enter_context(tiny_world(services, folder / "tiny"))
        database = stack.enter_context(postgres())
        registry = stack.enter_context(faults.proxy(tiny.registry))
        shared = {
            "PREBAKE_MIRRORS": f"{CONDA_FORGE}={tiny.channel_url}",
            "PREBAKE_WORKSPACE": f"{tiny.registry}/team/cache",
            "PREBAKE_LEASES": database,
            "PREBAKE_PREFECT_API": f"http://127.0.0.1:{port}/api",
        }
        own = {"PREFECT_API_DATABASE_CONNECTION_URL": database.replace("+psycopg", "+asyncpg")}
        serve = stack.enter_context(ExitStack())
        serve.enter_context(prefect(folder / "prefect", port, **own))
        bench = Bench(tiny, folder, shared, registry)
        _at_once(bench, folder)
        _lanes(bench, folder)
        _killed_worker(bench, folder)
        with worker(bench.environ("first"), folder / "first.log"):
            bench.slow(20.0)
            run = bench.submit(PARTS[3:8])
            bench.until_pushing(run)
            start = time.perf_counter()
            for process in _descendants(_server(port)):
                os.kill(process, signal.SIGKILL)
            serve.close()
            with prefect(folder / "prefect", port, **own):
                print(f"server back after             {time.perf_counter() - start:6.1f}")
                later = bench.submit(PARTS[4:9])
                print(f"a run submitted then ended in {_seconds(bench, later):6.1f}")
                print(f"the run under way ended after {_seconds(bench, run):6.1f} more")


def _at_once(bench: Bench, folder: Path) -> None:
    chosen = list(combinations(PARTS[:6], 3))[:20]
    with worker(bench.environ("first"), folder / "1.log"), worker(bench.environ("second"), folder / "2.log"):
        start = time.perf_counter()
        runs = [bench.submit(parts) for parts in chosen]
        print(f"20 environments submitted in  {time.perf_counter() - start:6.1f}")
        for run in runs:
            bench.end(run)
        print(f"all built in                  {time.perf_counter() - start:6.1f}")
    built = Counter(
        layer["key"]
        for run in runs
        if (record := client.record_of(bench.api, run)) and record.build
        for layer in record.build["layers"]
        if layer["outcome"] == "built"
    )
    print(f"layers built {sum(built.values())}, most often {max(built.values())} time")


def _lanes(bench: Bench, folder: Path) -> None:
    chosen = list(combinations(PARTS[:9], 4))[:50]
    with worker(bench.environ("first"), folder / "3.log"), worker(bench.environ("second"), folder / "4.log"):
        print(f"on-demand run, nothing else   {_seconds(bench, bench.submit(PARTS[10:12])):6.1f}")
        bulk = [bench.submit(parts, "curated") for parts in chosen]
        print(f"on-demand run beside 50 bulk  {_seconds(bench, bench.submit(PARTS[11:13])):6.1f}")
        waiting = sum(client.read(bench.api, run).state == states.QUEUED for run in bulk)
        print(f"of which queued when it ended {waiting:6d}")
        for run in bulk:
            client.cancel(bench.api, run, 0)
        for run in bulk:
            while not client.read(bench.api, run).is_final:
                time.sleep(0.2)


def _killed_worker(bench: Bench, folder: Path) -> None:
    bench.slow(300.0)
    with worker(bench.environ("first"), folder / "5.log") as first:
        run = bench.submit(PARTS[2:7], "curated")
        bench.until_pushing(run)
        start = time.perf_counter()
        for process in _descendants(first.pid):
            os.kill(process, signal.SIGKILL)
    with worker(bench.environ("second"), folder / "6.log"):
        while client.read(bench.api, run).state == states.RUNNING:
            time.sleep(0.1)
        print(f"killed worker: noticed after  {time.perf_counter() - start:6.1f}")
        bench.end(run)
        print(f"killed worker: run ended after{time.perf_counter() - start:6.1f}")
    record = client.record_of(bench.api, run)
    assert record and record.build
    print("outcomes then:", sorted({layer["outcome"] for layer in record.build["layers"]}))


def _seconds(bench: Bench, run: Run) -> float:
    start = time.perf_counter()
    bench.end(run)
    return time.perf_counter() - start


def _server(port: int) -> int:
    """The server's process, which nobody hands out."""
    for folder in Path("/proc").glob("[0-9]*"):
        words = (folder / "cmdline").read_bytes().split(b"\0") if folder.exists() else []
        if b"server" in words and str(port).encode() in words:
            return int(folder.name)
    raise LookupError(port)


def _descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _descendants(int(child)))]


if __name__ == "__main__":
    main()

"""How many hits a second clients get who ask at once, and how long each waits for its own."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.scale_client import Answer, ask_at_once
from bench.scale_machine import Machine
from bench.scale_points import Point, told
from building import PREBAKE

CLIENTS = (1, 2, 4, 8, 16, 32)
COLUMNS = ("p50, ms", "p95, ms")
RUNS = 5


def measure(machine: Machine, clients: Sequence[int] = CLIENTS) -> list[Point]:
    """Clients of one local store: commands, each a process; processes that stay; threads of one process."""
    file, store = machine.definition("asked", [], []), machine.folder / "store"
    command = [PREBAKE, "build", str(file), "--image", machine.world.base, "-q"]
    environ = machine.environ(store)
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)

    def run_command() -> None:
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)

    def commands(count: int, seconds: float) -> list[Answer]:
        return ask_at_once(run_command, count, seconds)

    def processes(count: int, seconds: float) -> list[Answer]:
        return _ask_processes(machine, file, [1] * count, seconds)

    def threads(count: int, seconds: float) -> list[Answer]:
        return _ask_processes(machine, file, [count], seconds)

    kinds = (("commands", commands, 3.0), ("processes", processes, 1.0), ("threads", threads, 1.0))
    return [
        _point(kind, count, asked(count, seconds), seconds)
        for kind, asked, seconds in kinds
        for count in clients
    ]


def _point(kind: str, count: int, answers: list[Answer], seconds: float) -> Point:
    """The runs are the answers in their order, cut into as many parts; one more before them warms up."""
    end = min(at - taken for at, taken in answers) + seconds  # what comes later had less company
    ordered = sorted(answer for answer in answers if answer[0] <= end)
    size = len(ordered) // (RUNS + 1)
    parts = [ordered[number * size - 1 : (number + 1) * size] for number in range(1, RUNS + 1)]
    waits = [sorted(taken for _, taken in part[1:]) for part in parts]
    runs = {
        "hits per s": [size / (part[-1][0] - part[0][0]) for part in parts],
        "p50, ms": [statistics.median(wait) * 1000 for wait in waits],
        "p95, ms": [wait[int(0.95 * size)] * 1000 for wait in waits],
    }
    return told(Point(kind, count, runs))


def _ask_processes(machine: Machine, file: Path, threads: list[int], seconds: float) -> list[Answer]:
    """Answers of as many processes, each of so many threads, that all start at one time."""
    command = [sys.executable, "-m", "bench.scale_client", str(file), machine.world.base]
    environ = machine.environ(machine.folder / "store")
    pipe = subprocess.PIPE
    clients = [
        subprocess.Popen([*command, str(count)], env=environ, stdin=pipe, stdout=pipe, text=True)
        for count in threads
    ]
    for client in clients:
        assert client.stdout and client.stdout.readline() == "ready\n"
    for client in clients:
        assert client.stdin
        client.stdin.write(f"{seconds}\n")
        client.stdin.flush()
    outputs = [client.communicate()[0] for client in clients]
    return [_answer(line) for output in outputs for line in output.splitlines()]


def _answer(line: str) -> Answer:
    at, taken = line.split()
    return float(at), float(taken)

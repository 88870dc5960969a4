"""A client that asks for hits: `python -m bench.scale_client FILE IMAGE THREADS`.

It says `ready` when it was answered once, starts at a line of its input, which says for how many seconds, and
prints a line per answer: when it came (CLOCK_MONOTONIC) and how long it took, in seconds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import prebake

Answer = tuple[float, float]


def ask(once: Callable[[], object], seconds: float) -> list[Answer]:
    """Answers of one client that asks again as soon as it is answered."""
    answers: list[Answer] = []
    now = time.monotonic()
    end = now + seconds
    while now < end:
        start = now
        once()
        now = time.monotonic()
        answers.append((now, now - start))
    return answers


def ask_at_once(once: Callable[[], object], threads: int, seconds: float) -> list[Answer]:
    """Answers of so many clients in one process."""
    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(ask, once, seconds) for _ in range(threads)]
        return [answer for future in asked for answer in future.result()]


def main() -> None:
    file, image, threads = sys.argv[1:]
    environment, workspace = prebake.load(file, image=image), prebake.open_workspace()

    def once() -> None:
        prebake.ensure(environment, workspace=workspace)

    once()
    print("ready", flush=True)
    for answer in ask_at_once(once, int(threads), float(sys.stdin.readline())):
        print(*answer)


if __name__ == "__main__":
    main()

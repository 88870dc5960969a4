"""A job's log as it grows, until the job ends."""

from __future__ import annotations

import time
from typing import IO, TYPE_CHECKING

from .record import ENDED

if TYPE_CHECKING:
    from .record import Record
    from .store import JobStore

_PAUSE = 0.1


def follow(jobs: JobStore, job_id: str, output: IO[bytes]) -> Record:
    """Copy the log to `output` as it comes; returns the record of the job that ended."""
    record = jobs.read(job_id)
    with jobs.log(job_id).open("rb") as log:
        while True:
            record = jobs.read(job_id)  # before the log: what an ended job said is all there
            while data := log.read(1 << 16):
                output.write(data)
                output.flush()
            if record.state in ENDED:
                return record
            time.sleep(_PAUSE)

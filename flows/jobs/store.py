"""The records of jobs: a folder for each below the local store, `jobs/ID/`.

    job.json        the record, replaced as a whole
    log.txt         what preparing and the command said
    conda-lock.yml  the packages it ran with
    code/           the snapshot of its code, where it ran
    outputs/        what it wrote

Ids sort by time. A folder without a record belongs to a submission that did not come to its end.
"""

from __future__ import annotations

import functools
import json
import secrets
import shutil
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ...cache.files import replacing, store_errors
from ...config.places import did_you_mean
from ...errors import SettingsError
from .record import Order, Record, this_process

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import TypeAdapter

_RECORD = "job.json"


class JobStore:
    """All jobs of a local store. Every verb raises StoreError when the store cannot be used."""

    def __init__(self, store: Path) -> None:
        self.root = store / "jobs"

    def folder(self, job_id: str) -> Path:
        """Where all of a job is."""
        return self.root / job_id

    def log(self, job_id: str) -> Path:
        """What it said."""
        return self.folder(job_id) / "log.txt"

    def create(self, order: Order) -> Record:
        """A new job with a folder and, as yet, no record."""
        now = time.time()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now)) + f"-{int(now * 1000) % 1000:03}"
        job_id = f"{stamp}-{secrets.token_hex(2)}"
        with store_errors(self.root):
            for name in ("code", "outputs"):
                (self.folder(job_id) / name).mkdir(parents=True)
            self.log(job_id).touch()
        return Record(job_id, order, round(now, 3), runner=this_process())

    def drop(self, job_id: str) -> None:
        """Forget a job that did not come to a record."""
        shutil.rmtree(self.folder(job_id), ignore_errors=True)

    def write(self, record: Record) -> Record:
        """Record what is known now; whoever reads sees the old record or the new one."""
        folder = self.folder(record.id)
        with store_errors(folder), replacing(folder / _RECORD, folder) as stream:
            stream.write(json.dumps(asdict(record), default=str, indent=1).encode())
        return record

    def read(self, job_id: str) -> Record:
        """The job of that id. Raises SettingsError if there is none."""
        path = self.folder(job_id) / _RECORD
        if "/" in job_id or not path.exists():
            hint = did_you_mean(job_id, self.ids()) or "look at `prebake jobs list`"
            raise SettingsError(f"there is no job `{job_id}`", facts={"store": self.root}, hint=hint)
        with store_errors(path):
            return _adapter().validate_json(path.read_bytes()).as_seen()

    def ids(self) -> list[str]:
        """All jobs, the oldest first."""
        return sorted(path.parent.name for path in self.root.glob(f"*/{_RECORD}"))

    def all(self) -> list[Record]:
        """The records of all jobs, the oldest first."""
        return [self.read(job_id) for job_id in self.ids()]


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    """What reads a record, by the annotations of its types; made once, which takes 30 ms."""
    from pydantic import TypeAdapter

    return TypeAdapter(Record)

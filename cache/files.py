"""Files that appear whole or not at all, and what an OSError means to a user."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import IO, TYPE_CHECKING

from ..errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn an OSError into what the user can act on: no space, no permission, read-only."""
    try:
        yield
    except OSError as error:
        raise store_error(error, path) from error


_HINTS = {
    errno.ENOSPC: "free some space or point the store elsewhere; nothing half-written was kept",
    errno.EDQUOT: "the disk quota is used up; nothing half-written was kept",
    errno.EACCES: "give this user write permission or point the store elsewhere",
    errno.EROFS: "the file system is read-only; point the store elsewhere",
    errno.ENOENT: "something removed files while it was in use: try again",
    errno.ENOTDIR: "a file stands where a folder is needed: point the store elsewhere",
}


def store_error(error: OSError, path: Path) -> StoreError:
    """What the user can do about an OSError below `path`."""
    facts: dict[str, object] = {"folder": path} | ({"file": error.filename} if error.filename else {})
    facts["reason"] = error.strerror or str(error)
    return StoreError("the folder cannot be used", facts=facts, hint=_HINTS.get(error.errno or 0, ""))


def cut_short(file: Path) -> StoreError:
    """A file that was written a moment ago is not whole: its writer did not say that the disk is full."""
    facts: dict[str, object] = {"file": file, "reason": "it was cut short as it was written"}
    return StoreError("the folder cannot be used", facts=facts, hint=_HINTS[errno.ENOSPC])


@contextlib.contextmanager
def replacing(target: Path, tmp: Path) -> Iterator[IO[bytes]]:
    """A file that takes `target`'s name when the block ends well and vanishes when it does not."""
    draft = new_name(tmp)
    try:
        with draft.open("xb", buffering=1 << 20) as stream:
            yield stream
        draft.chmod(0o644)
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def new_name(folder: Path) -> Path:
    """A name in `folder` that nobody has: 128 random bits. `tempfile`, with shutil behind it, takes 4 ms."""
    return folder / f"tmp{os.urandom(16).hex()}"


def touch(path: Path) -> None:
    """Mark as used now. Raises FileNotFoundError if it was pruned; other users' files stay as they are."""
    try:
        os.utime(path)
    except PermissionError:
        return
    except OSError as error:
        if error.errno != errno.EROFS:
            raise


@contextlib.contextmanager
def alone(path: Path, wait: Callable[[], object]) -> Iterator[None]:
    """Be the only process that holds the lock file `path`; `wait` is called if another does.

    The kernel frees it when its holder dies.
    """
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield

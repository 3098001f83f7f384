"""Files and folders that are there as a whole or as they were before, whoever else writes them meanwhile."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MARK = ".draft-"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path of its own to write to, with the suffix of `path`; after the block its content is on disk as `path`.

    If the block fails, `path` stays as it was. Drafts of processes that have been killed are removed.
    """
    draft = _draft_of(path)
    try:
        yield draft
        with draft.open("rb") as stream:
            os.fsync(stream.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """The same for a folder: an empty one to fill, which takes the place of `path` after the block."""
    draft = _draft_of(path)
    try:
        draft.mkdir(parents=True)
        yield draft
        shutil.rmtree(path, ignore_errors=True)
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    with atomic_write(path) as draft:
        draft.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value))


def _draft_of(path: Path) -> Path:
    """A name that no other thread or process uses: the target's, the owner's pid and a random number."""
    for leftover in path.parent.glob(f".*{MARK}*"):
        owner = leftover.name.rpartition(MARK)[2].partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            shutil.rmtree(leftover, ignore_errors=True) if leftover.is_dir() else leftover.unlink(missing_ok=True)
    return path.with_name(f".{path.name[:100]}{MARK}{os.getpid()}-{uuid.uuid4().hex[:12]}{path.suffix[:20]}")


def _alive(pid: int) -> bool:
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
    return True

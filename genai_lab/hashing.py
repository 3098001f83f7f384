"""Hashes of files, each counted once: as long as a file's size, times and inode stay, its hash is remembered.

A data home keeps what it has learned in a file, so that gigabytes of weights are not read again at every opening.
"""

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from genai_lab.files import write_json

log = logging.getLogger(__name__)
# Smaller files are read again: that costs less than remembering them.
SMALL = 1_000_000
# Up to this many bytes are hashed while a user waits.
AT_ONCE = 1_000_000_000
# A file that has just been written may change again within the resolution of its times.
SETTLED = 2.0


class Digests:
    """SHA-256 by file. `store` is the file in which they are kept; without one they last as long as the process."""

    def __init__(self, store: Path | None) -> None:
        self._store, self._lock = store, threading.Lock()
        self._busy: dict[str, threading.Lock] = {}
        self._known: dict[str, list[str]] = {}
        if store is not None:
            try:
                stored = json.loads(store.read_text())
                self._known = {
                    str(name): [str(value) for value in pair] for name, pair in stored.items() if len(pair) == 2
                }
            except (OSError, ValueError, AttributeError, TypeError):
                self._known = {}

    def unread(self, files: Iterable[Path]) -> int:
        """Bytes of the files whose hash is not known."""
        return sum(path.stat().st_size for path in files if self._remembered(path) is None)

    def digest(self, path: Path) -> bytes:
        """The hash of the file's content; whoever asks for the same file meanwhile waits for it."""
        if (remembered := self._remembered(path)) is not None:
            return bytes.fromhex(remembered)
        with self._lock:
            lock = self._busy.setdefault(str(path), threading.Lock())
        with lock:
            if (remembered := self._remembered(path)) is not None:
                return bytes.fromhex(remembered)
            before = _signature(path)
            with path.open("rb") as stream:
                computed = hashlib.file_digest(stream, "sha256")
            if path.stat().st_size >= SMALL and _signature(path) == before and _settled(path):
                self._keep(path, before, computed.hexdigest())
            return computed.digest()

    def _remembered(self, path: Path) -> str | None:
        signature, digest = self._known.get(str(path.resolve()), ("", ""))
        return digest if digest and signature == _signature(path) else None

    def _keep(self, path: Path, signature: str, digest: str) -> None:
        with self._lock:
            self._known[str(path.resolve())] = [signature, digest]
            if self._store is None:
                return
            try:
                write_json(self._store, {name: pair for name, pair in self._known.items() if os.path.exists(name)})
            except OSError:
                log.warning("hashes cannot be kept in %s", self._store, exc_info=True)


@cache
def digests(store: Path | None) -> Digests:
    """One for each store, shared by all threads of this process."""
    return Digests(store)


def _signature(path: Path) -> str:
    state = path.stat()
    return f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_ino}"


def _settled(path: Path) -> bool:
    state = path.stat()
    return time.time() - max(state.st_mtime, state.st_ctime) > SETTLED

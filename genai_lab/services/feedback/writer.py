"""The one thread that writes answers: many of them in one transaction, each acknowledged after COMMIT.

SQLite writes one transaction at a time and waits for the disk at the end of each, so that what arrives meanwhile goes
together (group commit). One thread also makes assignment exact: no two annotators are looked at at once.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from genai_lab.errors import LabError, StorageError
from genai_lab.services import databases
from storage.answering import flush, look_ahead
from storage.database import Database

log = logging.getLogger(__name__)

MOST = 64
Work = Callable[[Session], Any]
About = tuple[int, str | None]  # whose answer it is, and its key
Order = tuple[Work, About | None, Future[Any]]


class Writer:
    """`submit(work)` runs `work(session)` in the next transaction; its future is done once that is committed.

    What all of a transaction will ask about their annotators is read together, where `about` says whom.
    `work` raises LabError before it has written anything, so that the others of its transaction are not touched.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: SimpleQueue[Order | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="rankings", daemon=True)
        self._thread.start()

    def submit(self, work: Work, about: About | None = None) -> "Future[Any]":
        future: Future[Any] = Future()
        self._waiting.put((work, about, future))
        return future

    def close(self) -> None:
        """What was submitted before is still written."""
        self._waiting.put(None)
        self._thread.join(10)

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, batch_open = [first], True
            while batch_open and len(batch) < MOST:
                try:
                    item = self._waiting.get_nowait()
                except Empty:
                    break
                if item is None:
                    self._waiting.put(None)
                    batch_open = False
                else:
                    batch.append(item)
            self._write(batch)

    def _write(self, batch: list[Order]) -> None:
        results: list[tuple[Future[Any], Any, Exception | None]] = []
        try:
            with self._database.session() as session:
                if keys_by_annotator := dict(about for _, about, _ in reversed(batch) if about):
                    look_ahead(session, keys_by_annotator)
                for work, _, future in batch:
                    try:
                        results.append((future, work(session), None))
                    except LabError as problem:
                        results.append((future, None, problem))
                flush(session)
        except Exception as problem:
            if len(batch) > 1:
                # One of them may be at fault, and it must not take the others with it.
                for order in batch:
                    self._write([order])
            else:
                batch[0][2].set_exception(_told(problem))
            return
        for future, result, refused in results:
            if refused is not None:
                future.set_exception(refused)
            else:
                future.set_result(result)


def _told(problem: Exception) -> Exception:
    if not isinstance(problem, SQLAlchemyError):
        log.exception("an answer was not written")
        return problem
    log.error("an answer was not written: %s", databases.reason(problem))
    return StorageError(databases.sentence(problem) or "The database did not take this; it is tried again.")

"""Vectors of texts that were computed before, in a file of the data home: a copy that may be deleted at any time.

A vector is found by the text and the hash of the model's content with its way of pooling, so that a model that changes
finds nothing of what it was before.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)
FILE = "vectors.db"
MOST_ROWS = 400_000  # some 600 MB of 384 numbers each; the oldest quarter makes room
AT_ONCE = 500
TABLE = (
    "CREATE TABLE IF NOT EXISTS vectors (id INTEGER PRIMARY KEY, model TEXT NOT NULL, text BLOB NOT NULL, "
    "vector BLOB NOT NULL, UNIQUE (model, text))"
)


class VectorStore:
    """The stored vectors of one model. A file that cannot be read or written is a warning, and nothing is stored."""

    def __init__(self, home: Path, model: str) -> None:
        self._path, self._model = home / FILE, model

    def find(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors that are there, by text."""
        vectors: dict[str, NDArray[np.float32]] = {}
        if not self._path.is_file():
            return vectors
        by_digest = {_digest(text): text for text in texts}
        digests = list(by_digest)
        with self._warning(), self._open() as connection:
            for start in range(0, len(digests), AT_ONCE):
                part = digests[start : start + AT_ONCE]
                query = f"SELECT text, vector FROM vectors WHERE model = ? AND text IN ({', '.join('?' * len(part))})"
                for digest, vector in connection.execute(query, (self._model, *part)):
                    vectors[by_digest[digest]] = np.frombuffer(vector, np.float32)
        return vectors

    def add(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        rows = [(self._model, _digest(text), vector.astype(np.float32).tobytes()) for text, vector in vectors.items()]
        with self._warning(), self._open() as connection, connection:
            connection.executemany("INSERT OR IGNORE INTO vectors (model, text, vector) VALUES (?, ?, ?)", rows)
            [count] = connection.execute("SELECT count(*) FROM vectors").fetchone()
            if count > MOST_ROWS:
                oldest = "SELECT id FROM vectors ORDER BY id LIMIT ?"
                connection.execute(f"DELETE FROM vectors WHERE id IN ({oldest})", (count - MOST_ROWS * 3 // 4,))

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            self._path.chmod(0o600)
            connection.execute(TABLE)
            yield connection

    @contextmanager
    def _warning(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as problem:
            log.warning("vectors are neither read from nor kept in %s: %s", self._path, problem)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

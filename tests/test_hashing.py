"""Hashes that are counted once a file, and again where the file has changed."""

import hashlib
import os
from pathlib import Path

import pytest

from genai_lab import hashing
from genai_lab.hashing import Digests


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hashing, "SMALL", 10)
    path = tmp_path / "weights"
    path.write_bytes(b"a" * 100)
    monkeypatch.setattr(hashing, "_settled", lambda path: True)
    return path


def test_a_file_is_read_once_and_again_where_it_has_changed(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, count = [], hashlib.file_digest
    monkeypatch.setattr(hashing.hashlib, "file_digest", lambda stream, name: (read.append(1), count(stream, name))[1])
    store = tmp_path / "hashes.json"
    digests = Digests(store)
    assert digests.unread([weights]) == 100
    first = digests.digest(weights)
    assert first == hashlib.sha256(b"a" * 100).digest()
    assert (digests.digest(weights), digests.unread([weights])) == (first, 0)
    assert (Digests(store).digest(weights), len(read)) == (first, 1)
    weights.write_bytes(b"b" * 100)
    os.utime(weights, ns=(1, 1))
    assert Digests(store).digest(weights) == hashlib.sha256(b"b" * 100).digest()
    assert len(read) == 2


def test_a_file_that_was_just_written_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "SMALL", 10)
    monkeypatch.setattr(hashing, "SETTLED", 3600.0)
    path = tmp_path / "fresh"
    path.write_bytes(b"a" * 100)
    digests = Digests(None)
    digests.digest(path)
    assert digests.unread([path]) == 100


def test_a_damaged_store_is_passed_over(weights: Path, tmp_path: Path) -> None:
    store = tmp_path / "hashes.json"
    for text in ("{", "[1]", '{"a": 1}', '{"a": [1, 2, 3]}'):
        store.write_text(text)
        assert Digests(store).digest(weights) == hashlib.sha256(b"a" * 100).digest()

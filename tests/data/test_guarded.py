"""Files of strangers, read in a process of little memory and little time."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genai_lab.data import BadRow, Note, child, guarded
from genai_lab.data.sniffing import FileOptions, NeedsChoice
from genai_lab.errors import LabError


@pytest.fixture(scope="module")
def pool() -> Iterator[guarded.Pool]:
    reader_pool = guarded.Pool()
    yield reader_pool
    reader_pool.close()


def request(path: Path, options: dict[str, object] | None = None) -> dict[str, object]:
    return {"path": str(path), "name": path.name, "options": options or {}}


def test_every_kind_of_item_comes_through(pool: guarded.Pool, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "é", "n": NaN}\n[1]\n' + "".join(f'{{"a": "x", "n": {n}}}\n' for n in range(1_000)))
    items = list(pool.read(request(path)))
    assert items[0] == {"a": "é", "n": None}
    assert isinstance(items[1], BadRow)
    assert items[-2] == {"a": "x", "n": 999}
    assert items[-1] == Note("1 cell holds NaN, the first in row 1, read as null.")


def test_one_process_reads_one_file_after_another(pool: guarded.Pool, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "1,2\n" * 5_000)
    stream = pool.read(request(path))
    assert next(stream) == {"a": "1", "b": "2"}
    stream.close()
    pids = pool.idle_pids()
    assert len(pids) == 1
    assert sum(1 for _ in pool.read(request(path))) == 5_000
    assert pool.idle_pids() == pids
    short = tmp_path / "short.csv"
    short.write_text("a,b\n1,2\n3,4\n")
    stream = pool.read(request(short))
    assert next(stream) == {"a": "1", "b": "2"}
    stream.close()
    column = tmp_path / "one.csv"
    column.write_text("a\n1\n")
    with pytest.raises(NeedsChoice) as raised:
        list(pool.read(request(column)))
    assert (raised.value.option, raised.value.value) == ("as_is", True)
    assert list(pool.read(request(column, {"as_is": True}))) == [{"a": "1"}]
    assert pool.idle_pids() == pids


def test_a_dictionary_of_long_texts_does_not_fill_the_memory(pool: guarded.Pool, tmp_path: Path) -> None:
    path = tmp_path / "bomb.parquet"
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000), pa.array(["x" * 2**20]))
    table = pa.table(dict.fromkeys("abc", cells))
    pq.write_table(table, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 2_000
    stream = pool.read(request(path))
    first = next(stream)
    assert isinstance(first, dict)
    assert len(str(first["a"])) == 2**20
    with pytest.raises(LabError, match="unpacks to more than 1,000 times its size"):
        list(stream)
    for pid in pool.idle_pids():
        assert psutil.Process(pid).memory_info().rss < 1_000 * 2**20


def test_many_small_values_are_refused_before_they_are_made(pool: guarded.Pool, tmp_path: Path) -> None:
    path = tmp_path / "bomb.json.gz"
    path.write_bytes(gzip.compress(b"[" + b"[]," * 5_500_000 + b"[]]", 1))
    with pytest.raises(LabError, match=r"more than 10,000,000 values; save it as JSON Lines"):
        list(pool.read(request(path)))


def test_a_file_that_takes_too_much_memory_is_one_sentence(
    pool: guarded.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "PROCESSOR_SECONDS", 100.0)
    monkeypatch.setattr(guarded, "MOST_SECONDS", 600.0)
    path = tmp_path / "wide.parquet"
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * 64), pa.array(["x" * 9_000_000]))
    pq.write_table(pa.table(dict.fromkeys("abcd", cells)), path, compression="zstd", store_schema=False)
    with pytest.raises(LabError) as raised:
        list(pool.read(request(path)))
    assert str(raised.value) == child.NO_MEMORY
    path = tmp_path / "fine.jsonl"
    path.write_text(json.dumps({"a": "x"}))
    assert list(pool.read(request(path))) == [{"a": "x"}]


def test_a_file_that_takes_too_long_is_one_sentence(
    pool: guarded.Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.json"
    path.write_text(f"[{','.join(['{}'] * 3_000_000)}]")
    monkeypatch.setattr(guarded, "PROCESSOR_SECONDS", 0.0)
    with pytest.raises(LabError, match="took more than 0 s to read and was stopped"):
        list(pool.read(request(path)))


def test_a_name_that_tells_no_format_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is in no format that can be read"):
        list(guarded.read(tmp_path / "a.xlsx", options=FileOptions()))

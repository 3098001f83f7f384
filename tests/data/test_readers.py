"""Files as rows: every format gives the same, and what cannot be read is told in one sentence."""

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genai_lab.data import BadRow, SplitPlan, tables
from genai_lab.data.guessing import guess
from genai_lab.data.readers import read
from genai_lab.errors import LabError
from tests.data.malformed import files

NAUGHTY = [
    "",
    " ",
    "=1+1",
    'a"b',
    "a,b",
    "a\nb",
    "a\r\nb",
    "\u2028",
    "\x00",
    "\ufeffx",
    "שלום",
    "👩‍👩‍👧",
    "null",
    "NaN",
    "'",
    "\t",
]
ROWS: list[dict[str, Any]] = [{"text": text, "label": str(n)} for n, text in enumerate(NAUGHTY)]


def as_csv(delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["text", "label"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), out)
    return out.getvalue()


SAME = {
    "a.csv": as_csv(),
    "a.tsv": as_csv("\t"),
    "a.json": json.dumps(ROWS).encode(),
    "a.jsonl": "\n".join(json.dumps(row) for row in ROWS).encode(),
    "raw.ndjson": "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode(),
    "inside.json": json.dumps({"rows": ROWS, "about": "x"}).encode(),
    "a.parquet": as_parquet(),
    "marked.csv": b"\xef\xbb\xbf" + as_csv(),
}


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("packed", [False, True])
def test_every_format_gives_the_same_rows(name: str, packed: bool, tmp_path: Path) -> None:
    if packed and name.endswith("parquet"):
        pytest.skip("Parquet is compressed inside")
    path = tmp_path / (name + (".gz" if packed else ""))
    path.write_bytes(gzip.compress(SAME[name]) if packed else SAME[name])
    assert list(read(path)) == ROWS


@pytest.mark.parametrize("name", files())
def test_a_malformed_file_is_one_sentence_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    path, home = tmp_path / name, tmp_path / "datasets"
    path.write_bytes(files()[name])
    with pytest.raises(LabError) as told:
        tables.write(
            lambda: read(path), home, SplitPlan(), roles=lambda names, rows: guess(names, rows), text_only="sv" in name
        )
    sentence = str(told.value)
    assert 20 < len(sentence) < 400
    assert sentence[0].isupper() or sentence[0] == "'"
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert "Traceback" not in sentence
    assert not home.exists() or not list(home.iterdir())


def test_there_are_at_least_fifty_malformed_files() -> None:
    assert len(files()) >= 50


def test_a_bad_row_is_named_by_number_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,label\nfine,1\nshort\nfine,2\nlong,2,3\n"open" x,3\nfine,4\n')
    found = list(read(path))
    bad = {item.number: item for item in found if isinstance(item, BadRow)}
    assert sorted(bad) == [2, 4, 5]
    assert bad[2].column == "label"
    assert "missing" in bad[2].reason
    assert "3 cells" in bad[4].reason
    assert str(bad[2]).startswith("Row 2, column 'label': ")
    assert [item for item in found if isinstance(item, dict)] == [{"text": "fine", "label": n} for n in "124"]


def test_a_bad_cell_of_json_lines_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x", "b": 1}\n\n{"a": "\\ud800", "b": 2}\n{"a": NaN}\n[1]\n{"a": "y"}\n')
    bad = [item for item in read(path) if isinstance(item, BadRow)]
    assert [(item.number, item.column) for item in bad] == [(2, "a"), (3, None), (4, None)]
    assert "NaN" in bad[1].reason


def test_values_that_json_lacks_become_text_or_are_refused(tmp_path: Path) -> None:
    import datetime

    path = tmp_path / "a.parquet"
    table = pa.table({"day": [datetime.date(2026, 1, 2)] * 2, "raw": [b"fine", b"\xff"], "list": [[1], [2, 3]]})
    pq.write_table(table, path)
    first, second = read(path)
    assert first == {"day": "2026-01-02", "raw": "fine", "list": [1]}
    assert isinstance(second, BadRow)
    assert (second.number, second.column) == (2, "raw")


def test_a_line_of_any_length_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    with gzip.open(path, "wb") as stream:
        for _ in range(30):
            stream.write(b" " * 999_999 + b"x")
        stream.write(b'\n{"a": "after"}\n')
    bad, good = read(path)
    assert isinstance(bad, BadRow)
    assert "10,000,000 characters" in bad.reason
    assert good == {"a": "after"}

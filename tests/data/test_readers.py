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

from genai_lab.data import BadRow, Note, SplitPlan, tables
from genai_lab.data.guessing import guess
from genai_lab.data.readers import read
from genai_lab.data.sniffing import FileOptions, NeedsChoice
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
    with pytest.raises(LabError) as raised:
        tables.write(
            lambda: read(path), home, SplitPlan(), roles=lambda names, rows: guess(names, rows), text_only="sv" in name
        )
    sentence = str(raised.value)
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
    items = list(read(path))
    bad = {item.number: item for item in items if isinstance(item, BadRow)}
    assert sorted(bad) == [2, 4, 5]
    assert bad[2].column == "label"
    assert "missing" in bad[2].reason
    assert "3 cells" in bad[4].reason
    assert str(bad[2]).startswith("Row 2, column 'label': ")
    assert [item for item in items if isinstance(item, dict)] == [{"text": "fine", "label": n} for n in "124"]


def test_a_bad_cell_of_json_lines_is_named_too(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x", "b": 1}\n\n{"a": "\\ud800", "b": 2}\n{"a": Infinity}\n[1]\n{"a": "y"}\n')
    bad = [item for item in read(path) if isinstance(item, BadRow)]
    assert [(item.number, item.column) for item in bad] == [(2, "a"), (3, None), (4, None)]
    assert "Infinity" in bad[1].reason


def plain(path: Path, options: FileOptions | None = None) -> tuple[list[dict[str, Any]], list[str]]:
    """(rows, notes) of a file without bad rows."""
    items = list(read(path, "", options))
    assert not [item for item in items if isinstance(item, BadRow)]
    return [item for item in items if isinstance(item, dict)], [item.text for item in items if isinstance(item, Note)]


TWO = [{"input": "Say 0, please", "output": "done 0"}, {"input": "Say 1, please", "output": "done 1"}]
LINES = [f"{row['input']}{{0}}{row['output']}" for row in TWO]


def delimited(separator: str, first: str = "") -> str:
    return first + "\n".join(line.format(separator) for line in [f"input{separator}output", *LINES]) + "\n"


PANDAS = json.dumps({name: {str(n): row[name] for n, row in enumerate(TWO)} for name in TWO[0]})
BY_COLUMNS = json.dumps({name: [row[name] for row in TWO] for name in TWO[0]})


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("semicolon.csv", delimited(";").encode("utf-8-sig")),
        ("bars.csv", delimited("|").encode()),
        ("tabs.csv", delimited("\t").encode()),
        ("semicolon.tsv", delimited(";").encode()),
        ("sep_line.csv", delimited(";", "sep=;\n").encode()),
        ("quoted_sep_line.csv", delimited("\t", '"sep=\t"\r\n').encode("utf-8-sig")),
        ("bom.csv", delimited(";").encode("utf-16")),
        ("utf16le.csv", delimited(";").encode("utf-16-le")),
        ("utf16be.tsv", delimited("\t").encode("utf-16-be")),
        ("utf16.jsonl", "\n".join(map(json.dumps, TWO)).encode("utf-16")),
        ("columns_pandas.json", PANDAS.encode()),
        ("columns_lists.json", BY_COLUMNS.encode()),
        ("wrapped.json", json.dumps({"data": json.loads(PANDAS)}).encode()),
        ("pandas_split.json", json.dumps({"columns": list(TWO[0]), "index": [0, 1],
                                          "data": [list(row.values()) for row in TWO]}).encode()),
        ("lines_in_a.json", "\n".join(map(json.dumps, TWO)).encode()),
        ("array_in_a.jsonl", json.dumps(TWO, indent=1).encode()),
        ("array_on_a_line.jsonl", json.dumps(TWO).encode()),
        ("array_begun_on_a_line.jsonl", ("[" + ",\n".join(map(json.dumps, TWO)) + "]").encode()),
    ],
)  # fmt: skip
def test_a_file_is_told_by_what_is_in_it(name: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert plain(path)[0] == TWO


def test_objects_by_id_and_by_split_are_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"x1": TWO[0], "x2": TWO[1]}))
    assert plain(path)[0] == [{"id": "x1", **TWO[0]}, {"id": "x2", **TWO[1]}]
    path.write_text(json.dumps({"train": [TWO[0]], "test": {name: [text] for name, text in TWO[1].items()}}))
    assert plain(path)[0] == [{**TWO[0], "split": "train"}, {**TWO[1], "split": "test"}]


def test_a_column_without_a_name_is_called_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(",input,label\n0,hello,a\n1,there,b\n")
    rows, notes = plain(path)
    assert rows[1] == {"column 1": "1", "input": "there", "label": "b"}
    assert notes == ["The header gives no name to column 1."]


def test_nan_is_null_and_told_once(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "x", "score": 0.5}\n{"a": "y", "score": NaN}\n{"a": "z", "score": NaN}\n')
    rows, notes = plain(path)
    assert [row["score"] for row in rows] == [0.5, None, None]
    assert notes == ["2 cells hold NaN, the first in row 2, read as null."]
    table = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": ["x", "y"], "score": [0.5, float("nan")]}), table)
    rows, notes = plain(table)
    assert [row["score"] for row in rows] == [0.5, None]
    assert notes == ["1 cell holds NaN, the first in row 2, read as null."]


@pytest.mark.parametrize(
    ("name", "data", "option", "value"),
    [
        ("a.csv", b"text\nhello\nthere\n", "as_is", True),
        ("a.csv", "text,label\nfa\xe7ade,1\n".encode("cp1252"), "encoding", "cp1252"),
        ("a.json", b'{"model": "x", "sizes": [1, 2]}', "as_is", True),
        ("a.jsonl", b'{"a": ["x", "y"], "b": ["1", "2"]}\n', "as_is", True),
    ],
)
def test_what_may_be_meant_otherwise_is_asked_first(
    name: str, data: bytes, option: str, value: str | bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(NeedsChoice) as raised:
        list(read(path))
    assert (raised.value.option, raised.value.value) == (option, value)
    assert str(raised.value).endswith((".", "?"))
    rows, _ = plain(path, FileOptions(**{option: value}))
    assert rows
    assert "fa\xe7ade" in {row.get("text") for row in rows} or option == "as_is"


def test_one_conversation_on_a_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]}
    path.write_text(json.dumps(row))
    assert plain(path)[0] == [row]


def test_a_comma_file_with_bad_rows_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text;note,label\na;b,1\nc\nd;e,2\n")
    items = list(read(path))
    assert next(item for item in items if isinstance(item, dict)) == {"text;note": "a;b", "label": "1"}
    assert [item.number for item in items if isinstance(item, BadRow)] == [2]


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


MESSAGES = [
    "ham\tSo what's up",
    'spam\t"WIN a prize',
    "ham\tOk lar...",
    'ham\tHe said "yes',
    "spam\tCall now",
    "ham\tBye",
]


@pytest.mark.parametrize("name", ["SMSSpamCollection", "messages.tsv", "messages.tsv.gz"])
def test_a_table_without_a_header_keeps_its_first_row_and_lone_quotes(tmp_path: Path, name: str) -> None:
    data = "\n".join(MESSAGES * 2).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    items = list(read(tmp_path / name))
    rows = [item for item in items if isinstance(item, dict)]
    assert [f"{row['column 1']}\t{row['column 2']}" for row in rows] == MESSAGES * 2
    assert [item.text for item in items if isinstance(item, Note)] == [
        "The first line names no columns but is a row; they are called column 1, column 2."
    ]


def test_the_header_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("\n".join(MESSAGES * 2))
    with_header = list(read(path, options=FileOptions(header="yes")))
    assert with_header[0] == {"ham": "spam", "So what's up": '"WIN a prize'}
    path.write_text("text,label\nx,ham\ny,spam\n")
    without = [item for item in read(path, options=FileOptions(separator=",", header="no")) if isinstance(item, dict)]
    assert without[0] == {"column 1": "text", "column 2": "label"}


def test_quotes_that_enclose_cells_are_taken_off(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text('text\tlabel\n"a ""quoted"" word"\tham\n"two\nlines"\tspam\n')
    assert list(read(path)) == [
        {"text": 'a "quoted" word', "label": "ham"},
        {"text": "two\nlines", "label": "spam"},
    ]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('{"a": "1"}\n{"a": "2"}\n', [{"a": "1"}, {"a": "2"}]),
        ("a,b\n1,2\n3,4\n", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]),
        ("One line.\nAnother, longer one.\n", [{"text": "One line."}, {"text": "Another, longer one."}]),
    ],
)
def test_a_file_without_an_ending_is_told_by_its_content(tmp_path: Path, text: str, rows: list[dict[str, str]]) -> None:
    (tmp_path / "rows").write_text(text)
    assert list(read(tmp_path / "rows")) == rows

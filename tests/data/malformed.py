"""Fifty files that no table can be made of, as (name, bytes); each deserves one sentence."""

import gzip
import json

DEEP = 100_000
Files = dict[str, bytes]


def files() -> Files:
    return {**_delimited(), **_json(), **_json_lines(), **_packed(), **_others()}


def _delimited() -> Files:
    return {
        "empty.csv": b"",
        "blank-lines.csv": b"\n\n\n",
        "header-only.csv": b"a,b\n",
        "no-names.csv": b",,\n1,2,3\n",
        "one-column.csv": b"a\n1\n2\n",
        "ragged.csv": b"a;b,c\n1\n2\n",
        "twice.csv": b"a,b,a\n1,2,3\n",
        "open-quote-header.csv": b'"a,b\n1,2\n',
        "open-quote.csv": b'a,b\n1,"2\n3,4\n',
        "text-after-quote.csv": b'a,b\n"1"x,2\n',
        "short-row.csv": b"a,b\n1\n",
        "long-row.csv": b"a,b\n1,2,3\n",
        "cut-utf16.csv": "a,b\n1,2\n".encode("utf-16")[:-1],
        "latin1.csv": "a,b\nfa\xe7ade,2\n".encode("latin-1"),
        "cut-character.csv": "a\né".encode()[:-1],
        "many-columns.csv": ",".join(f"c{n}" for n in range(5_000)).encode() + b"\n",
        "endless-name.csv": b"x" * 5_000 + b"\n1\n",
        "empty.tsv": b"",
        "short-row.tsv": b"a\tb\n1\n",
        "twice.tsv": b"a\ta\n1\t2\n",
        "kept-name-twice.csv": b"_split,exported_split\ntest,1\n",
    }


def _json() -> Files:
    return {
        "empty.json": b"",
        "number.json": b"17",
        "text.json": b'"hello"',
        "null.json": b"null",
        "numbers.json": b"[1, 2, 3]",
        "empty-list.json": b"[]",
        "empty-object.json": b"{}",
        "cut.json": b'[{"a": 1}, {"a"',
        "trailing-comma.json": b'[{"a": 1},]',
        "single-quotes.json": b"[{'a': 1}]",
        "uneven-columns.json": b'{"a": [1, 2], "b": [3]}',
        "one-row.json": b'{"model": "x", "layers": {"a": 1}, "sizes": [1, 2]}',
        "infinity.json": b'[{"a": -Infinity}]',
        "too-large-number.json": b'[{"a": 1e999}]',
        "endless-number.json": b'[{"a": ' + b"9" * 100_000 + b"}]",
        "deep.json": b"[" * DEEP + b"]" * DEEP,
        "deep-objects.json": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "deep-cell.json": b'[{"a": ' + b"[" * 500 + b"]" * 500 + b"}]",
        "half-character.json": rb'[{"a": "\ud800"}]',
        "nameless.json": b'[{"": 1}]',
        "kept-name-twice.json": b'[{"_split": "test", "exported_split": 1}]',
    }


def _json_lines() -> Files:
    return {
        "empty.jsonl": b"",
        "not-json.jsonl": b"hello\n",
        "list.jsonl": b"[1, 2]\n",
        "infinity.jsonl": b'{"a": Infinity}\n',
        "two-on-a-line.jsonl": b'{"a": 1} {"a": 2}\n',
        "half-character.ndjson": rb'{"a": "\udfff"}',
        "bytes.jsonl": b"\xff\xfe\x00\x01",
        "wide.jsonl": json.dumps({f"c{n}": n for n in range(2_000)}).encode(),
    }


def _packed() -> Files:
    full_stage = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)
    return {
        "cut.csv.gz": full_stage[: len(full_stage) // 2],
        "no-gzip.csv.gz": b"a,b\n1,2\n",
        "spoilt.jsonl.gz": gzip.compress(b'{"a": 1}\n')[:-4] + b"abcd",
        "empty.json.gz": b"",
    }


def _others() -> Files:
    return {
        "empty.parquet": b"",
        "text.parquet": b"a,b\n1,2\n",
        "head-only.parquet": b"PAR1" + b"\x00" * 40 + b"PAR1",
        "page.html": b"<html></html>",
        "book.xlsx": b"PK\x03\x04",
        "empty.txt": b"",
    }

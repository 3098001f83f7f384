"""Versions on disk: splits, hashes, rows by number, and nothing half-written."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.data import BadRow, BadRows, SplitPlan, tables
from genai_lab.data.guessing import guess
from genai_lab.data.profile import lengths, profile
from genai_lab.data.tables import Written, keys_of, read_rows
from genai_lab.errors import BadSetting, LabError

ROOT = Path(__file__).resolve().parents[2]


def write(rows: list[Any], folder: Path, plan: SplitPlan | None = None, **options: Any) -> Written:
    def roles(names: Any, first: Any) -> dict[str, tuple[str, ...]]:
        return guess(names, first)

    return tables.write(lambda: rows, folder, plan or SplitPlan(), roles=roles, text_only=False, **options)


def split_of(result: Written) -> list[str]:
    return [row["_split"] for row in read_rows(result.path, range(result.rows))]


def test_shares_are_exact_drawn_with_the_seed_and_part_of_the_hash(tmp_path: Path) -> None:
    rows = [{"text": str(n)} for n in range(1000)]
    written = write(rows, tmp_path, SplitPlan("ratio", (0.8, 0.15, 0.05), seed=3))
    again = write(rows, tmp_path, SplitPlan("ratio", (0.8, 0.15, 0.05), seed=3))
    other = write(rows, tmp_path, SplitPlan("ratio", (0.8, 0.15, 0.05), seed=4))
    assert written.splits == {"train": 800, "validation": 150, "test": 50}
    assert written.content_hash == again.content_hash != other.content_hash
    assert split_of(written)[:800] != ["train"] * 800
    assert keys_of(written.path, "test") == [n for n, split in enumerate(split_of(written)) if split == "test"]
    assert keys_of(written.path, "train", 790, 20) == keys_of(written.path, "train")[790:]


def test_a_group_is_never_torn_apart(tmp_path: Path) -> None:
    rows = [{"text": str(n), "author": f"w{n % 37}"} for n in range(600)]
    written = write(rows, tmp_path, SplitPlan("group", (0.6, 0.2, 0.2), "author"))
    by_key: dict[str, set[str]] = {}
    for row in read_rows(written.path, range(600)):
        by_key.setdefault(row["author"], set()).add(row["_split"])
    assert {len(splits) for splits in by_key.values()} == {1}
    assert set(written.splits) == {"train", "validation", "test"}


def test_a_column_tells_the_split_or_the_row_that_does_not(tmp_path: Path) -> None:
    rows = [{"text": "a", "part": "Train"}, {"text": "b", "part": "dev"}, {"text": "c", "part": "test"}]
    assert split_of(write(rows, tmp_path, SplitPlan("column", column="part"))) == ["train", "validation", "test"]
    with pytest.raises(LabError, match="Row 4, column 'part': 'x' is not a split"):
        write([*rows, {"text": "d", "part": "x"}], tmp_path, SplitPlan("column", column="part"))
    with pytest.raises(LabError, match="no column 'none'"):
        write(rows, tmp_path, SplitPlan("group", column="none"))
    with pytest.raises(BadSetting, match="add up to 1"):
        SplitPlan("ratio", (0.5, 0.1, 0.1))


def test_bad_rows_stop_the_import_or_are_dropped_and_counted(tmp_path: Path) -> None:
    rows = [{"text": "a"}, *(BadRow(n, "text", "it is bad") for n in range(2, 202)), {"text": "b"}]
    with pytest.raises(BadRows, match=r"Row 2, column 'text': it is bad and 199 more") as raised:
        write(rows, tmp_path)
    assert (len(raised.value.rows), raised.value.count) == (50, 200)
    assert list(tmp_path.iterdir()) == []
    written = write(rows, tmp_path, drop_bad=True)
    assert (written.rows, written.left_out_count) == (2, 200)


def test_rows_are_found_across_blocks_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", 7)
    monkeypatch.setattr(tables, "BLOCK_CHARACTERS", 500)
    rows = [{"text": f"{n} " + "x" * (n % 5 * 90)} for n in range(100)]
    written = write(rows, tmp_path)
    keys = [99, 0, 6, 7, 8, 50, 13]
    assert [row["text"].split()[0] for row in read_rows(written.path, keys)] == [str(key) for key in keys]


def test_null_absent_and_other_values_are_told_apart(tmp_path: Path) -> None:
    rows = [{"a": "x", "b": None, "c": 1}, {"a": None, "c": [2]}, {"a": "z", "b": "y", "c": None}]
    written = write(rows, tmp_path)
    assert [(column.name, column.kind, column.sparse) for column in written.columns] == [
        ("a", "text", False),
        ("b", "json", True),
        ("c", "json", False),
    ]


def test_a_killed_import_leaves_only_a_draft_which_the_next_one_sweeps(tmp_path: Path) -> None:
    code = f"""
import itertools
from pathlib import Path
from genai_lab.data import SplitPlan, tables
tables.write(lambda: ({{"text": "x" * 200}} for _ in itertools.count()), Path({str(tmp_path)!r}), SplitPlan(),
             roles=lambda *_: {{}}, text_only=True, progress=lambda rows: print(rows, flush=True))
"""
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    worker.stdout.readline()
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    remaining = [path.name for path in tmp_path.iterdir()]
    assert len(remaining) == 1
    assert remaining[0].endswith(".draft")
    written = write([{"text": "a"}], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [written.path.name]


def test_the_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    import psutil

    process, observed = psutil.Process(), []

    def rows() -> Iterator[dict[str, str]]:
        for n in range(60_000):
            if n % 10_000 == 0:
                observed.append(process.memory_info().rss)
            yield {"text": f"{n} " + "word " * 200}

    tables.write(rows, tmp_path, SplitPlan(), roles=lambda *_: {}, text_only=True)
    assert max(observed) - observed[1] < 150_000_000


def test_roles_are_guessed_from_names_and_contents() -> None:
    def guessed(*names: str, rows: Any = ()) -> dict[str, tuple[str, ...]]:
        return dict(guess(names, rows))

    assert guessed("id", "dialogue", "summary") == {"input": ("dialogue",), "reference": ("summary",)}
    assert guessed("prompt", "chosen", "rejected") == {
        "input": ("prompt",),
        "chosen": ("chosen",),
        "rejected": ("rejected",),
    }
    assert guessed("text", "reference_1", "reference_2")["reference"] == ("reference_1", "reference_2")
    half_empty = [{"instruction": "do it", "input": "", "output": "x"}] * 3
    assert guessed("instruction", "input", "output", rows=half_empty)["input"] == ("instruction",)
    unnamed = [{"v1": "ham" if n % 3 else "spam", "v2": f"a message of some length, number {n}"} for n in range(60)]
    assert guessed("v1", "v2", rows=unnamed) == {"label": ("v1",), "input": ("v2",)}
    assert guessed("messages", "score") == {"messages": ("messages",)}


def test_a_profile_counts_what_is_there() -> None:
    rows = [
        {"text": "A  cat", "label": "x", "_split": "train"},
        {"text": "a dog", "label": "y", "_split": "train"},
        {"text": "a dog", "label": "y", "_split": "train"},
        {"text": "a CAT ", "label": "x", "_split": "test"},
        {"text": " ", "label": "", "_split": "test"},
    ]
    profiled = profile([rows[:2], rows[2:]], ["text", "label"], {"input": ["text"], "label": ["label"]})
    assert profiled["rows"] == 5
    assert profiled["columns"]["text"] == {"empty": 1, "mean_characters": 4.6, "longest": 6}
    assert profiled["duplicates"] == {"rows": 1, "shown": [[2, 3]]}
    assert profiled["overlap"] == [{"first": "train", "second": "test", "rows": 1, "of": 2, "shown": [[1, 4]]}]
    assert profiled["labels"]["shown"] == {"x": {"train": 1, "test": 1}, "y": {"train": 2}, "": {"test": 1}}
    json.dumps(profiled)


def test_lengths_are_binned_with_all_of_them() -> None:
    result = lengths(["a b c", "a", ""], lambda texts: [len(text.split()) for text in texts], 3)
    assert (result["n"], result["max"], result["width"], result["counts"]) == (3, 3, 1, [1, 1, 0, 1])
    assert result["p50"] == 1


def test_a_dead_process_is_told_from_a_living_one(tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    mine, others = tmp_path / f".{os.getpid()}-a.draft", tmp_path / f".{gone.pid}-b.draft"
    for path in (mine, others):
        path.write_bytes(b"")
    tables.sweep(tmp_path)
    assert mine.exists()
    assert not others.exists()

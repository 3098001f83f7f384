"""The benchmark of shots runs as it stands on made-up models: what lacks is named, each way is set beside random."""

import gzip
import json
import sys
from pathlib import Path

import pytest

from benchmarks import shots

WORDS = ("red", "blue", "old", "small", "warm", "bright")


def test_cells_are_measured_on_the_same_rows_and_what_lacks_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "data", tmp_path / "out.json"
    (folder / "classification").mkdir(parents=True)
    rows = [{"text": f"{WORDS[n % 6]} thing {n}", "label": "warm" if n % 2 else "cold"} for n in range(60)]
    with gzip.open(folder / "classification" / "trec_train.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)
    options = ["--model", "fake", "--embedder", "fake-embedder", "--rows", "8", "--shots", "0", "--shots", "4"]
    monkeypatch.setattr(sys, "argv", ["shots", str(folder), *options, "--out", str(out)])
    assert shots.main() == 0
    printed = capsys.readouterr().out
    assert "SMS spam is left out" in printed
    results = json.loads(out.read_text())
    cells = [(row["form"], row["selector"], row["shots"]) for row in results]
    ways = [("none", 0), ("random", 4), ("similar", 4), ("embedding", 4)]
    assert cells == [(form, *way) for form in shots.FORMS for way in ways]
    assert {row["n"] for row in results} == {8}
    assert [row["against_random"] is not None for row in results] == [False, False, True, True] * 2
    assert "| TREC | 0.50 | chat | by meaning |" in printed

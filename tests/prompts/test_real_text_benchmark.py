"""The benchmark of real text runs as it stands on made-up models: what lacks is named, systems answer the same rows."""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import real_text
from tests.inline_jobs import wait_inline

WORDS = ("red", "blue", "old", "small", "warm", "bright")
FAKE = ("--model", "fake", "--embedder", "fake-embedder", "--rows", "8")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two of the four files; jobs run in this process."""
    monkeypatch.setattr("genai_lab.services.jobs.wait", wait_inline)
    questions = [{"text": f"{WORDS[n % 6]} thing {n}", "label": "human" if n % 2 else "entity"} for n in range(60)]
    write(tmp_path / "classification" / "trec_train.jsonl.gz", questions)
    dialogues = [
        {
            "dialogue": f"#Person1#: Shall we meet at {n}?\n#Person2#: Yes.\n#Person1#: Good.",
            "summary": f"They meet at {n}.",
        }
        for n in range(20)
    ]
    write(tmp_path / "summarization" / "dialogsum_dev.jsonl.gz", dialogues)
    return tmp_path


def write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True)
    with gzip.open(path, "wt") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def asked(monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> list[dict[str, Any]]:
    out = folder / "out.json"
    monkeypatch.setattr(sys, "argv", ["real_text", str(folder), *FAKE, *options, "--out", str(out)])
    assert real_text.main() == 0
    results: list[dict[str, Any]] = json.loads(out.read_text())
    return results


def test_ways_of_choosing_are_compared_with_random_shots_on_the_same_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [result] = asked(monkeypatch, folder, "--part", "selectors")
    printed = capsys.readouterr().out
    assert "selectors: SST-2, plain is left out" in printed
    assert result["title"] == "selectors: TREC, plain"
    assert [cell["selector"] for cell in result["systems"]] == ["random", "balanced", "similar", "embedding"]
    assert {cell["n"] for cell in result["systems"]} == {8}
    assert [cell["compared"] is None for cell in result["systems"]] == [True, False, False, False]
    assert result["commonest"][0] in ("human", "entity")
    assert result["commonest"][1] >= 0.5
    assert "n = 8; always naming" in printed


def test_numbers_of_shots_and_draws_are_the_recipe_plan_varied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = asked(monkeypatch, folder, "--part", "shots", "--part", "draws", "--form", "plain")
    shots, draws = results
    assert [cell["shots"] for cell in shots["systems"]] == [0, 1, 4, 8]
    assert [cell["shots"] for cell in draws["systems"]] == [4] * len(real_text.SEEDS)
    assert len({cell["system"] for cell in draws["systems"]}) == len(real_text.SEEDS)


def test_summaries_stand_beside_the_first_two_turns(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--part", "summaries", "--form", "chat", "--shots", "0", "--shots", "1")
    [result] = asked(monkeypatch, folder, *options)
    lead = result["systems"][-1]
    assert [cell["system"].rpartition(" · ")[2] for cell in result["systems"]][-1] == "the first two turns"
    assert len(result["systems"]) == 3
    # "Shall we meet at 7? Yes." against "They meet at 7.": three of four words, in six.
    assert lead["rouge1"][0] == pytest.approx(0.6)
    assert "| the first two turns | 0.600" in capsys.readouterr().out

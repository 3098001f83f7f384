"""History: search, deletion with a way back, exports that lose nothing and start no formula."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from genai_lab.context import LabContext
from genai_lab.data.formulas import FORMULA_STARTS
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import datasets, generation, history, matrix, runs
from tests.services.conftest import Call
from tests.tiny import open_lab

SHORT = Sampling(max_new_tokens=2, seed=1)


def generate_runs(lab: LabContext, *prompts: str) -> list[int]:
    return [generation.generate(lab, "tiny", Prompt(text), SHORT).id for text in prompts]


def find_ids(lab: LabContext, search: str) -> set[int]:
    return {row.id for row in history.history(lab, search).rows}


def test_search_wants_every_word_and_takes_them_literally(lab: LabContext) -> None:
    both, item, percent, under = generate_runs(lab, "green Apples zq", "green pears zq", "100% zq", "snake_case zq")
    assert find_ids(lab, "green zq") == {both, item}
    assert find_ids(lab, "apples GREEN tiny") == {both}
    assert find_ids(lab, "% zq") == {percent}
    assert find_ids(lab, "snake_ zq") == {under}
    assert find_ids(lab, "absent zq") == set()


def test_pages_are_newest_first(lab: LabContext) -> None:
    ids = generate_runs(lab, "paged 1", "paged 2", "paged 3")
    first, second = (history.history(lab, "paged", 2, offset) for offset in (0, 2))
    assert first.total == second.total == 3
    assert [row.id for row in first.rows + second.rows] == ids[::-1]


def test_every_kind_of_run_is_found_with_what_it_made_or_read(lab: LabContext) -> None:
    (single,) = generate_runs(lab, "one of all kinds")
    rows = [{"input": "a", "reference": "b"}, {"input": "c", "reference": "d"}]
    name = datasets.import_rows(lab, rows, "kinds", {"kind": "typed"}).name
    plan = matrix.MatrixPlan(dataset=name, models=("tiny",), templates=("plain",), shots=(0,), rows=1, split="train")
    with pytest.raises(LabError, match="no rows"):
        matrix.start(lab, replace(plan, split="validation"))
    parent = matrix.start(lab, replace(plan, split=next(iter(datasets.show(lab, name).splits)))).run_id
    every = {row.id: row for row in history.history(lab, kind="").rows}
    assert every[single].kind == "generate"
    assert every[parent].kind == "matrix"
    assert "kinds@1" in every[parent].prompt_start
    imported = next(row for row in every.values() if row.kind == "import" and row.output == name)
    assert name in imported.prompt_start
    cells = [row for row in history.history(lab, kind="predict").rows if row.parent == parent]
    assert [row.model for row in cells] == ["tiny"]
    assert not any(row.kind == "predict" and row.parent for row in every.values())
    assert {row.id for row in history.history(lab, "kinds", kind="").rows} >= {parent, imported.id}


def test_a_lab_is_new_until_something_is_done_in_it(lab: LabContext, tmp_path: Path) -> None:
    fresh = open_lab(tmp_path)
    try:
        assert history.is_new(fresh)
        datasets.import_rows(fresh, [{"input": "a", "reference": "b"}], "first", {"kind": "typed"})
        assert not history.is_new(fresh)
    finally:
        fresh.close()
    assert not history.is_new(lab)


def test_deleted_runs_come_back(lab: LabContext) -> None:
    ids = generate_runs(lab, "gone 1", "gone 2")
    assert history.delete_runs(lab, ids[:1]) == 1
    assert find_ids(lab, "gone") == {ids[1]}
    assert history.undelete_runs(lab, ids[:1]) == 1
    assert find_ids(lab, "gone") == set(ids)


def test_jsonl_loses_nothing(lab: LabContext) -> None:
    text = 'Ünï\u2028code "quoted"\r\n\tline\x00'
    settings = Sampling(max_new_tokens=4, num_return_sequences=2, seed=5)
    view = generation.generate(lab, "tiny", Prompt(text, prefix=(70, 71)), settings)
    lines = [json.loads(line) for line in history.to_jsonl(lab, [view.id]).split("\n") if line]
    assert [line["completion"] for line in lines] == [c.text for c in view.completions]
    assert all(line["prompt"] == text and line["settings"] == settings.as_dict() for line in lines)
    assert lines[1]["token_ids"] == [t.id for t in view.completions[1].tokens]
    assert lines[0]["logprobs"] == [t.logprob for t in view.completions[0].tokens]
    assert lines[0]["prefix"] == [70, 71]
    assert lines[0]["model_hash"] == view.model_hash


@pytest.mark.parametrize("text", ["=1+1", "+1 x", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "＝1"])
def test_no_csv_cell_is_a_formula(lab: LabContext, text: str) -> None:
    [row] = csv.DictReader(io.StringIO(history.to_csv(lab, generate_runs(lab, text)), newline=""))
    assert row["prompt"] == f"'{text}"
    assert not any((cell or "").startswith(FORMULA_STARTS) for cell in row.values())


def test_a_run_is_replayed_by_its_kind(lab: LabContext, call: Call) -> None:
    [run_id] = generate_runs(lab, "replayed by kind")
    new_id = runs.replay(lab, run_id)
    texts = [[completion.text for completion in generation.run(lab, each).completions] for each in (run_id, new_id)]
    assert texts[0] == texts[1]
    assert call("history", "replay", str(run_id))[:2] == (0, texts[0][0] + "\n")
    imported = datasets.import_rows(lab, [{"input": "a", "reference": "b"}], "not replayed", {"kind": "typed"})
    run = next(row for row in history.history(lab, kind="import").rows if row.output == imported.name)
    with pytest.raises(LabError, match="of the kind import cannot be replayed; these can: evaluation"):
        runs.replay(lab, run.id)
    with pytest.raises(LabError, match="There is no run 99999"):
        runs.replay(lab, 99999)
    code, _, error = call("history", "replay", str(run.id))
    assert code != 0
    assert "cannot be replayed" in error


def test_only_completions_are_exported_and_deleted(lab: LabContext) -> None:
    imported = next(row for row in history.history(lab, kind="import").rows)
    with pytest.raises(LabError, match="Only completions can be exported"):
        history.to_jsonl(lab, [imported.id])
    with pytest.raises(LabError, match="Only completions can be deleted"):
        history.check_deletable(lab, [imported.id])

"""Rejection sampling: the best of several completions of each row as an instruction dataset."""

from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import datasets, lineage, matrix
from genai_lab.services.alignment import best_to_dataset
from genai_lab.services.matrix import reading
from tests.services.test_matrix import worked

ROWS, K = 6, 3


def started(lab: LabContext, completions: int) -> matrix.MatrixView:
    rows = [{"text": f"review {number}", "sentiment": "good" if number % 2 else "bad"} for number in range(ROWS)]
    roles = {"input": ["text"], "label": ["sentiment"]}
    dataset = datasets.import_rows(lab, rows, "best", {"kind": "test"}, mapping=roles, split=SplitPlan(only="test"))
    fields: dict[str, Any] = {
        "dataset": dataset.name, "models": ("tiny",), "templates": ("classify-review",), "rows": ROWS,
        "samplings": (Sampling(temperature=1.0, max_new_tokens=4),), "num_return_sequences": completions,
    }  # fmt: skip
    run = matrix.start(lab, matrix.MatrixPlan(**fields))
    worked(lab, run)
    return matrix.show(lab, run.run_id)


def test_the_longest_of_each_row_is_kept_with_lineage(lab: LabContext) -> None:
    view = started(lab, K)
    [cell] = view.cells
    made = best_to_dataset(lab, cell.system.id, ["length unit=words", "0 * ended"])
    kept = {
        row.fields["row"]: row.fields for row in datasets.examples(lab, datasets.show(lab, made.dataset).id, count=99)
    }
    written = reading.predictions(lab, view, cell.system.id, None)
    assert len(kept) == made.rows == ROWS
    for row in written:
        lengths = [len(one.text.split()) for one in row.completions]
        assert len(kept[str(row.example)]["completion"].split()) == max(lengths)
        assert float(kept[str(row.example)]["score"]) == max(lengths)
    assert (made.fewest, made.most) == (K, K)
    assert made.gain == pytest.approx(made.best - made.mean)
    assert made.low <= made.gain <= made.high
    assert f"The best of {K} completions earns" in made.sentence
    assert "tiny" in {node.name for node in lineage.walk_dataset(lab, made.dataset).nodes.values()}
    source = datasets.show(lab, made.dataset).source
    assert (source["system"], source["rewards"]) == (cell.system.id, ["length unit=words", "0 * ended"])


def test_one_completion_per_row_leaves_nothing_to_choose(lab: LabContext) -> None:
    [cell] = started(lab, 1).cells
    with pytest.raises(LabError, match="one completion per row"):
        best_to_dataset(lab, cell.system.id, ["length"])


def test_what_is_no_system_or_no_reward_is_refused(lab: LabContext) -> None:
    with pytest.raises(LabError, match="has no completions"):
        best_to_dataset(lab, 99_999, ["length"])
    [cell] = started(lab, K).cells
    with pytest.raises(LabError, match="No reward is chosen"):
        best_to_dataset(lab, cell.system.id, ["0 * length"])
    with pytest.raises(LabError, match="choose a reward model"):
        best_to_dataset(lab, cell.system.id, ["reward_model:tiny"])

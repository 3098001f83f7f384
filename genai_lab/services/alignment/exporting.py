"""Rollouts as files: JSON Lines, lossless, or CSV for a spreadsheet."""

import io
import json
from typing import Any

from genai_lab.alignment.records import RolloutBatch
from genai_lab.context import LabContext
from genai_lab.data.formulas import guard
from genai_lab.errors import LabError
from genai_lab.services.alignment.browsing import NAMES, listed
from genai_lab.services.alignment.rollouts import ROLLOUTS, read, steps

FORMS = ("jsonl", "csv")


def as_text(lab: LabContext, run_id: int, step: int | None = None, kind: str = ROLLOUTS, form: str = "jsonl") -> str:
    """One line a completion of a step, or of all steps; raises LabError where there are none.

    JSON Lines hold ids and every figure of every token; in CSV a cell that a spreadsheet could run as a formula begins
    with an apostrophe.
    """
    if form not in FORMS:
        raise LabError(f"Rollouts are not written as {form[:20]!r}; choose one of {', '.join(FORMS)}.")
    at = steps(lab, run_id, kind) if step is None else [step]
    if not at:
        raise LabError(f"Run {run_id} has no completions yet; they appear with its first step.")
    batches = (read(lab, run_id, number, kind) for number in at)
    if form == "csv":
        return _csv([row for batch in batches for row in _rows(batch)])
    return "".join(
        json.dumps({**row, **_tokens(batch, place)}, ensure_ascii=False) + "\n"
        for batch in batches
        for place, row in enumerate(_rows(batch))
    )


def _rows(batch: RolloutBatch) -> list[dict[str, Any]]:
    return [
        {
            "step": batch.step, "completion_index": rollout.index, "row": rollout.row, "prompt": rollout.prompt,
            "completion": rollout.text, "score": rollout.score, "kl": rollout.kl, "completion_tokens": rollout.tokens,
            "ended": rollout.ended, "repeated": rollout.repeated, "seed": batch.seed,
            **{f"reward: {label}": value for label, value in rollout.parts.items()},
        }
        for rollout in listed(batch)
    ]  # fmt: skip


def _tokens(batch: RolloutBatch, index: int) -> dict[str, Any]:
    figures = {name: batch.tokens_of(name, index).tolist() for name in NAMES if name in batch.figures}
    return {"prompt_ids": batch.prompt_ids[index], "ids": batch.ids[index], "tokens": figures}


def _csv(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    out = io.StringIO()
    pd.DataFrame(rows).map(guard).to_csv(out, index=False, lineterminator="\r\n")
    return out.getvalue()

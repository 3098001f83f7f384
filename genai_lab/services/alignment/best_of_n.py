"""Rejection sampling: of several completions of each prompt the best one becomes an example to learn from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genai_lab.context import LabContext
from genai_lab.data import SplitPlan
from genai_lab.errors import LabError
from genai_lab.evaluation.sample import Sample
from genai_lab.evaluation.statistics import compare
from genai_lab.rewards import RewardInput
from genai_lab.services import datasets
from genai_lab.services.alignment.scoring import scorer_of
from genai_lab.services.packing import asked_of
from genai_lab.services.predictions.scoring import references_of
from genai_lab.services.rewards import messages_of
from genai_lab.views import View
from storage import runs as queries
from storage.tables import RunInput

RATIOS = (0.9, 0.1, 0.0)
ROLES = {"input": ["prompt"], "reference": ["completion"]}


@dataclass(frozen=True)
class BestOfN(View):
    """The dataset made, and what the best completions earn more than the mean of their row, with its 95 % interval over
    `rows` rows.
    """

    dataset: str
    rows: int
    fewest: int
    most: int
    mean: float
    best: float
    gain: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        times = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
        return (
            f"The best of {times} completions earns {self.best:.3g} where their mean earns {self.mean:.3g}: "
            f"{self.gain:+.3g} (95 % interval {self.low:+.3g} to {self.high:+.3g}, n = {self.rows:,} rows)."
        )


def best_to_dataset(lab: LabContext, system: int, rewards: Sequence[str], name: str = "") -> BestOfN:
    """The best completion of each row of a system, by the score of `rewards`, as a new instruction dataset.

    A system is a cell of a matrix that was run with several completions per row. Of equal ones the first counts. The
    version's run reads the system, so that a walk leads back. Raises LabError where rows have one completion alone.
    """
    rows, version = _rows(lab, system)
    if max(len(row["items"]) for row in rows) < 2:
        raise LabError(
            f"System {system} has one completion per row, so there is nothing to choose from; run its matrix with "
            "several completions per row."
        )
    scorer = scorer_of(lab, rewards)
    if not any(part.learned for part in scorer.parts):
        raise LabError("No reward is chosen; name at least one with a weight, such as reward_model:my-model.")
    scores = np.split(
        scorer.score([item for row in rows for item in row["items"]]).total,
        np.cumsum([len(row["items"]) for row in rows])[:-1],
    )
    table = [
        {
            "prompt": row["prompt"],
            "completion": row["items"][int(values.argmax())].completion,
            "score": float(values.max()),
            "mean score": float(values.mean()),
            "completions": len(values),
            "row": row["row"],
        }
        for row, values in zip(rows, scores, strict=True)
    ]
    made = datasets.import_rows(
        lab,
        table,
        name or f"best-of-{max(map(len, scores))}-system-{system}",
        {"kind": "best of n", "system": system, "rewards": [str(part) for part in scorer.parts], "version": version},
        mapping=ROLES,
        split=SplitPlan("group", RATIOS, "prompt"),
        inputs=[RunInput(role="system", source_run_id=system)],
    )
    return _summary(made.name, scores)


def _summary(dataset: str, scores: Sequence[Any]) -> BestOfN:
    means, bests = (np.array([pick(values) for values in scores]) for pick in (np.mean, np.max))
    gain = compare(Sample(means), Sample(bests))
    sizes = [len(values) for values in scores]
    return BestOfN(
        dataset, len(scores), min(sizes), max(sizes), float(means.mean()), float(bests.mean()), gain.difference,
        gain.low, gain.high,
    )  # fmt: skip


def _rows(lab: LabContext, system: int) -> tuple[list[dict[str, Any]], int]:
    """The rows of a system with their completions as rewards read them, and the dataset version that it reads."""
    with lab.database.reading() as session:
        run = queries.run_with_all(session, system)
        answered = [item for item in run.generations if not (item.detail or {}).get("error")] if run is not None else []
    if run is None or not answered:
        raise LabError(f"System {system} has no completions; choose a cell of a matrix that has ended.")
    version = next((item.dataset_version_id for item in run.inputs if item.dataset_version_id is not None), None)
    if version is None:
        raise LabError(f"Run {system} reads no dataset; choose a cell of a matrix.")
    by_row: dict[int, list[Any]] = {}
    for item in answered:
        by_row.setdefault(item.example or 0, []).append(item)
    rows = []
    for items, example in zip(by_row.values(), datasets.pick(lab, version, list(by_row)), strict=True):
        reference, rendered = next(iter(references_of(example)), ""), items[0].rendered_prompt
        prompt = messages_of(run.settings.get("prompt"), rendered)
        inputs = [
            RewardInput(prompt, one.text, reference, one.completion_tokens, one.finish_reason == "end of text")
            for one in items
        ]
        rows.append({"prompt": asked_of(run.settings, rendered), "row": example.key, "items": inputs})
    return rows, version

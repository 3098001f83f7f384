"""Systems against a baseline on one figure: paired tests, corrected for the number of comparisons, and a verdict."""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from genai_lab.context import LabContext
from genai_lab.evaluation import statistics
from genai_lab.evaluation.figures import figure_of
from genai_lab.metrics import METRICS, MetricSpec, Sample
from genai_lab.metrics.grouping import row_samples
from genai_lab.services import datasets
from genai_lab.services.evaluation.evaluations import EvaluationView, show
from genai_lab.services.predictions import Key
from genai_lab.services.predictions.scoring import references_of, scorer_of, settings_of
from genai_lab.views import View
from storage import evaluation as queries


@dataclass(frozen=True)
class BaselineComparison(View):
    """One system against the baseline; `p` is Holm's over the systems that are compared."""

    system: int
    label: str
    comparison: statistics.Comparison
    p: float
    verdict: str


@dataclass(frozen=True)
class CommonestLabel(View):
    """What always naming one label, the commonest of the rows, scores; `comparison` is the system less that."""

    label: str
    share: float
    comparison: statistics.Comparison


def compare(lab: LabContext, view: EvaluationView, key: Key, baseline: int | None = None) -> list[BaselineComparison]:
    """Every other system against the baseline, in the order of the columns; empty for a single system."""
    base = view.system(baseline or view.baseline)
    others = [item for item in view.systems if item.id != base.id]
    comparisons = [_pair(lab, view.id, key, base.id, item.id) for item in others]
    corrected = statistics.correct_p_values([item.p_randomisation for item in comparisons])
    figure = figure_of(key[0], key[1])
    return [
        BaselineComparison(
            item.id, item.label, comparison, p, statistics.verdict(base.label, item.label, figure, comparison, p)
        )
        for item, comparison, p in zip(others, comparisons, corrected, strict=True)
    ]


def compare_with_commonest_label(lab: LabContext, view: EvaluationView, key: Key, system: int) -> CommonestLabel:
    """The accuracy of a system beside that of always naming the commonest label of the same rows, paired."""
    sample, indices = sample_of(lab, view, key, system)
    labels = [row.label or "" for row in datasets.pick(lab, view.dataset_version_id, list(indices))]
    label, count = Counter(labels).most_common(1)[0]
    constant = Sample(np.array([float(each == label) for each in labels]), proportion=True)
    comparison = statistics.compare(constant, sample, bounds=(0.0, 1.0), seed=view.seed)
    return CommonestLabel(label, count / len(labels), comparison)


def _pair(lab: LabContext, evaluation: int, key: Key, a: int, b: int) -> statistics.Comparison:
    return _compared(_LabKey(lab), evaluation, key, a, b)


class _LabKey:
    """A lab as a key of the cache: two labs never share a comparison, and one keeps what it has computed."""

    def __init__(self, lab: LabContext) -> None:
        self.lab = lab

    def __hash__(self) -> int:
        return id(self.lab)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _LabKey) and other.lab is self.lab


@lru_cache(256)
def _compared(key_lab: _LabKey, evaluation: int, key: Key, a: int, b: int) -> statistics.Comparison:
    view = show(key_lab.lab, evaluation)
    first, rows = sample_of(key_lab.lab, view, key, a)
    second, others = sample_of(key_lab.lab, view, key, b)
    common = [example for example in rows if example in others]
    first_rows = np.array([rows[example] for example in common], dtype=int)
    second_rows = np.array([others[example] for example in common], dtype=int)
    figure = figure_of(key[0], key[1])
    pair = Sample(first.parts[first_rows], first.combine), Sample(second.parts[second_rows], second.combine)
    return statistics.compare(*pair, bounds=(figure.low, figure.high), seed=view.seed)


def sample_of(lab: LabContext, view: EvaluationView, key: Key, system: int) -> tuple[Sample, dict[int, int]]:
    """What the system's rows contribute to the figure, and each dataset row's index in it.

    A mean's rows are stored; the sums of a figure of the whole set are counted again from the texts.
    """
    score = view.score(key, system)
    with lab.database.reading() as session:
        rows = queries.outputs_by_row(session, system)
    indices = {outputs[0].example: index for index, outputs in enumerate(rows)}
    if not figure_of(key[0], key[1]).summed:
        return Sample(np.array(score.per_example, dtype=float)), indices
    examples = datasets.pick(lab, view.dataset_version_id, list(indices))
    predictions = [[output.answer for output in outputs] for outputs in rows]
    choice = MetricSpec(key[0], score.settings)
    settings = settings_of(choice)
    model = scorer_of(lab, choice, settings, predictions, examples)
    references = [references_of(row) for row in examples]
    measured = row_samples(METRICS.get(key[0]), predictions, references, settings, model)
    return measured.samples[key[1]], indices

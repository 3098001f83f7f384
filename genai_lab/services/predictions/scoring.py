"""One metric on one system: predictions and references from the database, figures with intervals out."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from genai_lab import metrics
from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.errors import LabError
from genai_lab.metrics import METRICS, Measured, MetricSpec, requirements
from genai_lab.metrics import measure as measured_by
from genai_lab.services import datasets
from genai_lab.services.scorers import scorer_for
from storage import evaluation as queries


def settings_of(choice: MetricSpec) -> Any:
    """The metric's settings value; raises UnknownName, BadSetting, or LabError for a setting that it does not have."""
    return metrics.settings_of(choice.metric, choice.settings)


def score(lab: LabContext, evaluation: int, system: int, choice: MetricSpec, seed: int) -> Iterator[dict[str, Any]]:
    """The rows of Score for one system and one metric."""
    with lab.database.reading() as session:
        run = queries.run_with_inputs(session, system)
        rows = queries.outputs_by_row(session, system)
    if run is None or not rows:
        raise LabError(f"System {system} has no completions, so nothing can be measured; run it first.")
    version_id = next(row.dataset_version_id for row in run.inputs if row.dataset_version_id is not None)
    examples = datasets.pick(lab, version_id, [outputs[0].example for outputs in rows])
    predictions = [[output.answer for output in outputs] for outputs in rows]
    yield from fields(measure(lab, choice, predictions, examples, seed), evaluation, system, choice)


def fields(measured: Measured, run_id: int, system: int, choice: MetricSpec) -> Iterator[dict[str, Any]]:
    """The rows of Score that hold these figures."""
    settings = asdict(settings_of(choice))
    for name, measure in measured.figures.items():
        yield {
            "run_id": run_id,
            "source_run_id": system,
            "metric": choice.metric,
            "figure": name,
            "signature": measured.signature,
            "settings": settings,
            "value": measure.value,
            "low": measure.low,
            "high": measure.high,
            "n": measure.n,
            "per_example": measure.sample.values,
            "detail": measured.detail,
        }


def measure(
    lab: LabContext, choice: MetricSpec, predictions: Sequence[Sequence[str]], examples: Sequence[Example], seed: int
) -> Measured:
    """The metric's figures with their intervals over the completions of each row.

    Raises LabError where the rows lack what it needs.
    """
    metric = METRICS.get(choice.metric)
    settings = settings_of(choice)
    references = [references_of(row) for row in examples]
    if requirements(metric, settings).references:
        empty = next((row.key for row, texts in zip(examples, references, strict=True) if not texts), None)
        if empty is not None:
            raise LabError(
                f"Row {empty + 1} of the dataset has no reference, which {metric.title} needs; "
                "map a column to reference or label, or choose another metric."
            )
    model = scorer_of(lab, choice, settings, predictions, examples)
    return measured_by(choice.metric, predictions, references, settings, model=model, seed=seed)


def scorer_of(
    lab: LabContext,
    choice: MetricSpec,
    settings: Any,
    predictions: Sequence[Sequence[str]],
    examples: Sequence[Example],
) -> Any:
    """The model that the metric asks about all completions in order, each with its row's input; None for most."""
    inputs = [row.input for row, texts in zip(examples, predictions, strict=True) for _ in texts]
    return scorer_for(lab, choice.metric, settings, inputs)


def references_of(row: Example) -> tuple[str, ...]:
    """The references of a row, or its label where it has none."""
    return row.references or ((row.label,) if row.label is not None else ())


def source_text(row: Example) -> str:
    """What the row asks, for reading: its input column, or all its fields but the answers."""
    answers = {*row.references, row.label}
    return row.input or "\n".join(f"{name}: {text}" for name, text in row.fields.items() if text not in answers)

"""How good are completions? One metric a file; each gives a figure with its interval, and one value a row to read.

A metric turns predictions and references into `Sample`s: what each row contributes, and how rows make the figure. So
intervals and tests resample rows once, in `genai_lab.evaluation.statistics`, for every metric alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from genai_lab.errors import BadSetting, LabError
from genai_lab.registry import Registry

Array = NDArray[np.float64]


# Figures of lm-evaluation-harness, which measures by itself.
HARNESS = "harness"
SHARES = ("acc", "acc_norm", "exact_match", "f1", "em", "mc1", "mc2", "acc_mutual_info")
LOWER = ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ter", "brier_score")


@dataclass(frozen=True)
class Figure:
    """One number of a metric; `low` and `high` are the ends of its range, None where there is none.

    A `summed` one is a figure of the whole set, not the mean of its rows' values; one with `more` is shown on demand.
    """

    name: str
    title: str
    low: float | None = 0.0
    high: float | None = 1.0
    higher_is_better: bool = True
    unit: str = ""
    summed: bool = False
    more: bool = False


@dataclass(frozen=True)
class Sample:
    """What rows contribute to one figure.

    `parts` is (n,), the rows' own values whose mean is the figure, or (n, k), sums whose total `combine` turns into
    the figure: (R, k) -> (R,). NaN marks a row for which the figure is undefined. `shown` is each row's own value for
    reading, where the parts are sums.
    """

    parts: Array
    combine: Callable[[Array], Array] | None = None
    proportion: bool = False
    shown: Sequence[float | None] | None = None

    @property
    def values(self) -> list[float | None]:
        """One value a row for reading, None where undefined."""
        if self.shown is not None:
            return list(self.shown)
        if self.combine is not None:
            return [None if np.isnan(one) else float(one) for one in self.combine(self.parts)]
        return [None if np.isnan(one) else float(one) for one in self.parts]


@dataclass(frozen=True)
class Rows:
    """Samples by figure; `signature` says everything that decides the figures; `detail` is for the page.

    Sentences under `detail["warnings"]` stand wherever the figures do.
    """

    samples: dict[str, Sample]
    signature: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """A figure with its 95 % interval over `n` rows; None where no row defines it."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    sample: Sample


@dataclass(frozen=True)
class Measured:
    figures: dict[str, Measure]
    signature: str
    detail: dict[str, Any]


class Classifier(Protocol):
    """The model that a metric asks; `hash` says which it was (see `genai_lab.models.judge`)."""

    hash: str

    @property
    def reads_input(self) -> bool: ...

    def scores(self, texts: Sequence[str], label: str = "") -> Sequence[float | None]: ...

    def log_probabilities(self, texts: Sequence[str]) -> Sequence[Any]: ...


class Metric(Protocol):
    """`needs` is "references", "labels" (the first reference is the label), "text" (nothing else) or "model"."""

    name: str
    title: str
    about: str
    citation: str
    needs: str

    @property
    def settings(self) -> type: ...

    @property
    def figures(self) -> tuple[Figure, ...]: ...

    def rows(
        self,
        predictions: Sequence[str],
        references: Sequence[Sequence[str]],
        settings: Any,
        model: Classifier | None = None,
    ) -> Rows:
        """What each row contributes. References are one or more a prediction; none where the metric needs none."""


METRICS: Registry[Metric] = Registry("metric", __name__)


@dataclass(frozen=True)
class NoSettings:
    """A metric without settings."""


def measure(
    name: str,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    settings: Any = None,
    *,
    model: Classifier | None = None,
    seed: int = 0,
    resamples: int = 1000,
) -> Measured:
    """The metric's figures with 95 % bootstrap intervals; raises LabError for rows that cannot be measured."""
    from genai_lab.evaluation.statistics import interval

    metric = METRICS.get(name)
    _check(metric, predictions, references)
    made = metric.rows(predictions, references, settings or metric.settings(), model)
    figures = {}
    for figure in metric.figures:
        sample = made.samples.get(figure.name)
        if sample is not None:
            found = interval(sample, bounds=(figure.low, figure.high), seed=seed, resamples=resamples)
            figures[figure.name] = Measure(found.value, found.low, found.high, found.n, sample)
    return Measured(figures, made.signature, made.detail)


def settings_of(name: str, values: dict[str, Any]) -> Any:
    """The metric's settings; raises LabError for a setting that it does not have or a value of the wrong kind."""
    kind = METRICS.get(name).settings
    known = {one.name: one for one in fields(kind)}
    for key, value in values.items():
        if key not in known:
            raise LabError(f"{name} has no setting {key!r}. Known: {', '.join(known) or 'none, it has no settings'}.")
        usual: Any = known[key].default
        if type(value) is not type(usual):
            raise BadSetting(key, value, f"a value such as {usual!r}")
        choices = known[key].metadata.get("choices")
        if choices and value not in choices:
            raise BadSetting(key, value, f"one of {', '.join(choices)}")
        ends = known[key].metadata
        if "low" in ends and not ends["low"] <= value <= ends["high"]:
            raise BadSetting(key, value, f"from {ends['low']} to {ends['high']}")
    return kind(**values)


def figure_of(metric: str, name: str) -> Figure:
    """Raises LabError where the metric has no such figure; the harness brings its own, known by their names."""
    if metric == HARNESS:
        own = name.partition(" ")[0]
        low, high = (0.0, 1.0) if own in SHARES else (None, None)
        return Figure(name, name.replace("_", " "), low, high, higher_is_better=own not in LOWER)
    known = METRICS.get(metric)
    for figure in known.figures:
        if figure.name == name:
            return figure
    raise LabError(f"{known.title} has no figure {name!r}. Known: {', '.join(one.name for one in known.figures)}.")


def title_of(metric: str) -> str:
    return "Harness" if metric == HARNESS else METRICS.get(metric).title


def _check(metric: Metric, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not predictions:
        raise LabError("There are no predictions to measure.")
    if metric.needs not in ("references", "labels"):
        return
    if len(predictions) != len(references):
        raise LabError(
            f"There are {len(predictions):,} predictions but {len(references):,} references; give one a row."
        )
    for number, one in enumerate(references, 1):
        if not one:
            raise LabError(f"Row {number} has no reference, which {metric.title} needs.")

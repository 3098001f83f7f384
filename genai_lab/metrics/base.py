"""What a metric is: predictions and references in, `Sample`s out, one a figure.

Intervals and tests resample the rows of samples once, in `genai_lab.evaluation.statistics`, for every metric alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from genai_lab.evaluation.sample import Figure, Sample
from genai_lab.registry import Registry
from genai_lab.settings import check_settings, read_settings
from genai_lab.views import View

PredictionsPerRow = Literal["one", "several"]


@dataclass(frozen=True)
class MetricSpec(View):
    """A metric with its settings; a setting that is left out has its default."""

    metric: str
    settings: dict[str, Any] = field(default_factory=dict)


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


@dataclass(frozen=True)
class Requirements:
    """What a metric reads beside predictions: references, and a model of the catalogue.

    `scorer` says how the model is asked: "" where none is, "texts" alone, "pairs" of input and completion (a reward
    model), "vectors" of texts, or "token vectors". An empty `model` means the default one of its role.
    """

    references: bool = False
    scorer: str = ""
    model: str = ""


class Classifier(Protocol):
    """The model that a metric asks; `hash` says which it was (see `genai_lab.models.text_scorer`)."""

    hash: str

    @property
    def reads_input(self) -> bool: ...

    def scores(self, texts: Sequence[str], label: str = "") -> Sequence[float | None]: ...

    def log_probabilities(self, texts: Sequence[str]) -> Sequence[Any]: ...


class Metric(Protocol):
    """`needs` is "references", "labels" (the first reference is the label), "text" (nothing else) or "model".

    Where it depends on the settings, a method `requirements(settings)` says it; `reads` is how a model is asked.

    `predictions_per_row` says what `rows` reads: "one" prediction a row, or "several", the completions that were
    sampled for the row. Where a metric of one prediction meets several, its values are averaged within the row.
    """

    name: str
    title: str
    about: str
    citation: str
    needs: str
    predictions_per_row: PredictionsPerRow

    @property
    def settings(self) -> type: ...

    @property
    def figures(self) -> tuple[Figure, ...]: ...

    def rows(
        self,
        predictions: Sequence[Any],
        references: Sequence[Sequence[str]],
        settings: Any,
        model: Classifier | None = None,
    ) -> Rows:
        """What each row contributes. A prediction is a text, or a sequence of texts where the metric reads several.

        References are one or more a row; none where the metric needs none. A model is asked about all texts in order.
        """


METRICS: Registry[Metric] = Registry("metric", "genai_lab.metrics")


@dataclass(frozen=True)
class NoSettings:
    """A metric without settings."""


def settings_of(name: str, values: dict[str, Any]) -> Any:
    """The metric's settings; raises BadSetting for a setting that it does not have or a value of the wrong kind."""
    settings: Any = read_settings(METRICS.get(name).settings, values, name)
    check_settings(settings)
    return settings


def requirements(metric: Metric, settings: Any) -> Requirements:
    """What the metric reads with these settings."""
    own = getattr(metric, "requirements", None)
    if own is not None:
        required: Requirements = own(settings)
        return required
    scorer = getattr(metric, "reads", "texts") if metric.needs == "model" else ""
    return Requirements(metric.needs in ("references", "labels"), scorer, getattr(settings, "model", ""))

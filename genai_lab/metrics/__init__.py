"""How good are completions? One metric a file; each gives figures with their intervals, and one value a row to read."""

from genai_lab.evaluation.sample import Array, Figure, Sample
from genai_lab.metrics.base import (
    METRICS,
    Classifier,
    Measure,
    Measured,
    Metric,
    MetricSpec,
    NoSettings,
    Requirements,
    Rows,
    requirements,
    settings_of,
)
from genai_lab.metrics.measuring import measure

__all__ = [
    "METRICS",
    "Array",
    "Classifier",
    "Figure",
    "Measure",
    "Measured",
    "Metric",
    "MetricSpec",
    "NoSettings",
    "Requirements",
    "Rows",
    "Sample",
    "measure",
    "requirements",
    "settings_of",
]

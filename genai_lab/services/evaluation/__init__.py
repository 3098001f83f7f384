"""Evaluations of prediction runs: queued, read, compared, reported."""

from genai_lab.metrics import MetricSpec
from genai_lab.services.evaluation.evaluations import (
    MOST_SYSTEMS,
    EvaluationView,
    StartedEvaluation,
    find,
    show,
    start,
    systems,
)
from genai_lab.services.evaluation.running import ModelsStarted, run_cells, run_models
from genai_lab.services.predictions import Key, ScoreView, SystemView

__all__ = [
    "MOST_SYSTEMS",
    "EvaluationView",
    "Key",
    "MetricSpec",
    "ModelsStarted",
    "ScoreView",
    "StartedEvaluation",
    "SystemView",
    "find",
    "run_cells",
    "run_models",
    "show",
    "start",
    "systems",
]

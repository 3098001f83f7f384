"""Prediction runs, called systems on the pages: completions that stand for the rows of a dataset, and their scores."""

from genai_lab.services.predictions.views import (
    Key,
    ScoreView,
    SystemView,
    dataset_name,
    input_of,
    score_view,
    system_view,
)

__all__ = ["Key", "ScoreView", "SystemView", "dataset_name", "input_of", "score_view", "system_view"]

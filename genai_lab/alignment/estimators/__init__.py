"""From rewards to advantages: one estimator a file."""

from genai_lab.alignment.estimators.base import ESTIMATORS, Advantages, Episode, Estimator, masked_mean, whiten

__all__ = ["ESTIMATORS", "Advantages", "Episode", "Estimator", "masked_mean", "whiten"]

"""The metrics in the form of the `evaluate` library, for notebooks and other tools."""

from dataclasses import asdict
from typing import Any

from genai_lab.metrics.base import METRICS, Classifier, settings_of
from genai_lab.metrics.measuring import measure


def evaluate_metric(name: str, model: Classifier | None = None) -> Any:
    """An `evaluate.Metric` whose `compute(predictions=, references=, **settings)` gives figures, intervals, signature.

    References are a text, or a list of texts, a prediction. Nothing is fetched from the Hub.
    """
    import datasets
    import evaluate

    metric = METRICS.get(name)
    text = datasets.Value("string")

    class Own(evaluate.Metric):
        def _info(self) -> evaluate.MetricInfo:
            features = datasets.Features({"predictions": text, "references": datasets.Sequence(text)})
            return evaluate.MetricInfo(
                description=metric.about, citation=metric.citation, inputs_description="", features=features
            )

        def _compute(self, predictions: Any, references: Any, seed: int = 0, **settings: Any) -> dict[str, Any]:
            wanted = [[one] if isinstance(one, str) else list(one) for one in references]
            chosen = settings_of(name, settings)
            found = measure(name, predictions, wanted, chosen, model=model, seed=seed)
            made: dict[str, Any] = {"signature": found.signature, "settings": asdict(chosen)}
            for figure, one in found.figures.items():
                made |= {figure: one.value, f"{figure}_low": one.low, f"{figure}_high": one.high, f"{figure}_n": one.n}
            return made

    Own.__name__ = Own.__qualname__ = metric.title.replace(" ", "")
    return Own()

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
            reference_rows = [[item] if isinstance(item, str) else list(item) for item in references]
            own_settings = settings_of(name, settings)
            measured = measure(name, predictions, reference_rows, own_settings, model=model, seed=seed)
            result: dict[str, Any] = {"signature": measured.signature, "settings": asdict(own_settings)}
            for figure, item in measured.figures.items():
                result |= {
                    figure: item.value,
                    f"{figure}_low": item.low,
                    f"{figure}_high": item.high,
                    f"{figure}_n": item.n,
                }
            return result

    Own.__name__ = Own.__qualname__ = metric.title.replace(" ", "")
    return Own()

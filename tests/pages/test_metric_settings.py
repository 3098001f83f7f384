"""Settings of metrics on the pages: shown for what is chosen and its base, read into what differs from defaults."""

from dataclasses import asdict
from typing import Any

from genai_lab.context import LabContext
from genai_lab.metrics import METRICS, MetricSpec
from pages.components import metric_settings
from pages.components.metric_settings import SECTION
from tests.fake_lab import fake_lab as fake_lab


def defaults() -> dict[str, Any]:
    """What the inputs hold on a new page."""
    values: dict[str, Any] = {}
    for metric in METRICS:
        values |= {
            f"{SECTION}.{metric}.{name}": value for name, value in asdict(METRICS.get(metric).settings()).items()
        }
    return values


def test_the_metrics_chosen_and_those_they_measure_by_are_shown() -> None:
    values = {**defaults(), f"{SECTION}.pass_at_k.metric": "rouge"}
    updates = metric_settings.show_settings(values, [["pass_at_k"], None, ["semantic_similarity"]])
    shown = {name.rpartition(".")[2] for name, update in updates.items() if update["visible"]}
    assert shown == {"pass_at_k", "rouge", "semantic_similarity"}
    assert set(updates) == set(metric_settings.panels())
    nothing = metric_settings.show_settings(values, [[], None])
    assert [name for name, update in nothing.items() if update["visible"]] == [f"{SECTION}.none"]


def test_what_differs_from_the_defaults_is_sent_with_the_base_settings() -> None:
    values = defaults()
    assert metric_settings.metric_specs(values, ["pass_at_k", "rouge"]) == [
        MetricSpec("pass_at_k"),
        MetricSpec("rouge"),
    ]
    values |= {f"{SECTION}.pass_at_k.metric": "rouge", f"{SECTION}.rouge.use_stemmer": False}
    stemmed = {"use_stemmer": False}
    assert metric_settings.metric_specs(values, ["pass_at_k", "rouge"]) == [
        MetricSpec("pass_at_k", {"metric": "rouge", "base_settings": stemmed}),
        MetricSpec("rouge", stemmed),
    ]
    assert metric_settings.metric_specs({}, ["exact_match"]) == [MetricSpec("exact_match")]
    assert metric_settings.metric_specs(values, None) == []


def test_models_are_offered_by_their_role(fake_lab: LabContext) -> None:
    updates = metric_settings.load_models(fake_lab)
    assert set(updates) == set(metric_settings.model_fields())
    assert updates[f"{SECTION}.semantic_similarity.model"]["choices"] == ["", "fake-embedder"]
    assert "fake-reward" in updates[f"{SECTION}.best_of_k.model"]["choices"]
    assert "" not in updates[f"{SECTION}.toxicity.model"]["choices"]

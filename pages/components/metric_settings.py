"""Settings of the metrics that are chosen: drawn from what each metric declares, shown for those that count.

A metric that measures by another one (pass@k, best of k) takes that one's settings as they stand here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.metrics import METRICS, MetricSpec
from genai_lab.services import models
from genai_lab.settings import SettingField, fields_of
from pages.components.forms import Form, section
from pages.components.settings_inputs import Updates, Values, draw_settings, read_settings

BASE, BASE_SETTINGS = "metric", "base_settings"
SECTION = "metric_settings"
NONE = "The chosen metrics have no settings."


def draw_metric_settings(form: Form, prefix: str) -> list[str]:
    """Draws a closed accordion here and adds its inputs to the form; returns their names."""
    names: list[str] = []
    with gr.Accordion("Metric settings", open=False, elem_id=f"{prefix}-metric-settings"):
        form.add({f"{SECTION}.none": gr.Markdown(NONE, elem_classes=["quiet"])})
        for metric in METRICS:
            if not _fields(metric):
                continue
            with gr.Column(visible=False) as group:
                gr.Markdown(f"**{METRICS.get(metric).title}**", elem_classes=["quiet"])
                drawn = [item.name for item in _fields(metric)]
                kind = METRICS.get(metric).settings
                inputs = draw_settings(kind, drawn, prefix=f"{prefix}-{metric}", more="", across=3)
            form.add({f"{SECTION}.group.{metric}": group})
            form.add({f"{SECTION}.{metric}.{name}": component for name, component in inputs.items()})
            names += [f"{SECTION}.{metric}.{name}" for name in inputs]
    return names


def panels() -> list[str]:
    """The names of what `show_settings` shows and hides."""
    return [f"{SECTION}.none", *(f"{SECTION}.group.{metric}" for metric in METRICS if _fields(metric))]


def base_fields() -> list[str]:
    """The names of the inputs that choose the metric by which another one measures."""
    return [f"{SECTION}.{metric}.{BASE}" for metric in METRICS if _has_base(metric)]


def model_fields() -> list[str]:
    """The names of the inputs that name a model of the catalogue."""
    return [f"{SECTION}.{metric}.{item.name}" for metric in METRICS for item in _fields(metric) if item.role]


def show_settings(values: Values, chosen: Iterable[Sequence[str] | None]) -> Updates:
    """Shows the settings of the metrics in all choices, and of those by which they measure."""
    metrics = {name for names in chosen for name in names or ()}
    metrics |= {str(values.get(f"{SECTION}.{name}.{BASE}")) for name in metrics if _has_base(name)}
    shown = {metric for metric in metrics if metric in METRICS and _fields(metric)}
    groups = {f"{SECTION}.group.{metric}": gr.update(visible=metric in shown) for metric in METRICS if _fields(metric)}
    return {f"{SECTION}.none": gr.update(visible=not shown), **groups}


def load_models(lab: LabContext) -> Updates:
    """What the inputs that name a model offer now."""
    by_role: dict[str, list[str]] = {}
    for view in models.catalogue(lab):
        by_role.setdefault(view.card.role, []).append(view.card.name)
    return {
        f"{SECTION}.{metric}.{item.name}": gr.update(choices=_offered(item, by_role.get(item.role, [])))
        for metric in METRICS
        for item in _fields(metric)
        if item.role
    }


def metric_specs(values: Values, metrics: Sequence[str] | None) -> list[MetricSpec]:
    """The metrics with what differs from their defaults."""
    return [MetricSpec(name, _chosen(values, name)) for name in metrics or ()]


def _chosen(values: Values, metric: str) -> dict[str, Any]:
    if not _fields(metric):
        return {}
    kind: Any = METRICS.get(metric).settings
    present = {name: value for name, value in section(values, f"{SECTION}.{metric}").items() if value is not None}
    settings, defaults = asdict(read_settings(kind, present)), asdict(kind())
    changed = {name: value for name, value in settings.items() if value != defaults[name]}
    if _has_base(metric) and (base := _chosen(values, settings[BASE])):
        changed[BASE_SETTINGS] = base
    return changed


def _fields(metric: str) -> list[SettingField]:
    return [item for item in fields_of(METRICS.get(metric).settings) if item.name != BASE_SETTINGS]


def _has_base(metric: str) -> bool:
    return BASE_SETTINGS in {item.name for item in fields_of(METRICS.get(metric).settings)}


def _offered(item: SettingField, names: Sequence[str]) -> list[str]:
    """The models of the role, and the empty choice where it means something."""
    return list(names) if item.default else ["", *names]

"""Settings of a plan by their names alone: of the plan, the training, the method or the objective."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from genai_lab.settings import fields_of
from genai_lab.training import Training, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

PARTS = ("training", "method_settings", "objective_settings")


def by_owner(settings: Mapping[str, Any], objective: str, method: str) -> dict[str, Any]:
    """The settings below the part of the plan that has them; what none has is left to the training, which refuses it.

    A part may be given as a mapping too. Raises UnknownName for an objective or method.
    """
    owners = {"method_settings": METHODS.get(method).settings, "objective_settings": OBJECTIVES.get(objective).settings}
    values: dict[str, Any] = {part: {} for part in PARTS}
    own_names = {item.name for item in fields(TrainingPlan)} - set(values)
    for name, value in settings.items():
        owner = next((owner for owner, kind in owners.items() if name in _names(kind)), "training")
        if name in values:
            values[name].update(value)
        elif name in own_names:
            values[name] = value
        else:
            values["training" if name in _names(Training) else owner][name] = value
    return values


def with_settings(plan: TrainingPlan, settings: Mapping[str, Any]) -> TrainingPlan:
    """The plan with these settings in place of its own. Raises BadSetting."""
    values = plan.as_dict()
    chosen = by_owner(settings, plan.objective, plan.method)
    present = {alias: item.name for item in fields_of(Training) for alias in item.names}
    for part in PARTS:
        names = present if part == "training" else {}
        values[part] = {**values[part], **{names.get(name, name): value for name, value in chosen.pop(part).items()}}
    return TrainingPlan.from_dict(values | chosen)


def _names(kind: type) -> set[str]:
    """Every name that is read as a field of a settings dataclass."""
    return {name for item in fields_of(kind) for name in item.names}

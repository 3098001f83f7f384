"""Runs in words: where their settings differ, and the line that begins one."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.services.training import TrainingView
from genai_lab.settings import present_names
from genai_lab.training import TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES


def differences(views: Sequence[TrainingView]) -> list[tuple[str, list[str]]]:
    """(setting, value of each run) where the runs differ; a setting that a run leaves out has its default there.

    Settings that were stored under a former name stand under their present one.
    """
    plans = [_with_present_names(view.plan) for view in views]
    flat, defaults = [_flat(plan) for plan in plans], [_flat(_defaults(view.plan)) for view in views]
    names = list(dict.fromkeys(name for values_by_name in flat for name in values_by_name))
    rows = [
        (name, [str(own.get(name, usual.get(name, ""))) for own, usual in zip(flat, defaults, strict=True)])
        for name in names
    ]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _with_present_names(plan: TrainingPlan) -> dict[str, Any]:
    values = plan.as_dict()
    for part, kind in _settings_kinds(plan).items():
        with suppress(LabError):  # of a version that had a setting which is gone
            values[part] = present_names(kind, values[part])
    return values


def _defaults(plan: TrainingPlan) -> dict[str, Any]:
    return {part: asdict(kind()) for part, kind in _settings_kinds(plan).items()}


def _settings_kinds(plan: TrainingPlan) -> dict[str, type]:
    """The settings of the plan's method and objective; without those of a plugin that is gone."""
    kinds: dict[str, type] = {}
    with suppress(LabError):
        kinds["method_settings"] = METHODS.get(plan.method).settings
    with suppress(LabError):
        kinds["objective_settings"] = OBJECTIVES.get(plan.objective).settings
    return kinds


def _flat(values: Any, before: str = "") -> dict[str, Any]:
    if isinstance(values, dict):
        return {key: one for name, value in values.items() for key, one in _flat(value, f"{before}{name} ").items()}
    if isinstance(values, list | tuple):
        if not any(isinstance(one, dict) for one in values):
            return {before.strip(): ", ".join(map(str, values))}
        return {key: one for n, value in enumerate(values, 1) for key, one in _flat(value, f"{before}{n} ").items()}
    return {before.strip(): values}


def command(
    lab: LabContext, plan_file: str, name: str = "", title: str = "", tags: Sequence[str] = (), gate: Sequence[int] = ()
) -> str:
    """The line that begins the same run in this lab."""
    options = {"--name": [name], "--title": [title], "--tag": tags, "--gate": map(str, gate)}
    arguments = ["python", "-m", "genai_lab", "train", "--home", str(lab.config.home), "--config", plan_file]
    arguments += [
        word for option, values in options.items() for value in values if value.strip() for word in (option, value)
    ]
    return shlex.join([*arguments, "--wait", "--json"])

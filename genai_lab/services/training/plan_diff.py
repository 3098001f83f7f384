"""Runs in words: where their settings differ, and the line that begins one."""

import shlex
from collections.abc import Sequence
from typing import Any

from genai_lab.context import LabContext
from genai_lab.services.training import TrainingView


def differences(views: Sequence[TrainingView]) -> list[tuple[str, list[str]]]:
    """(setting, value of each run) where the runs differ."""
    flat = [_flat(view.plan.as_dict()) for view in views]
    names = list(dict.fromkeys(name for values_by_name in flat for name in values_by_name))
    rows = [(name, [str(values_by_name.get(name, "")) for values_by_name in flat]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


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

"""The plans of a sweep: combinations of values, and a plan with other values at some paths."""

import math
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from genai_lab.errors import BadSetting, LabError, UnknownName, UnknownSetting
from genai_lab.settings import field_of, present_names
from genai_lab.training import Training, TrainingPlan
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES

MOST_RUNS = 24


def combinations(values: Mapping[str, Sequence[Any]], draws: int, seed: int) -> list[dict[str, Any]]:
    """Every combination, or so many different ones drawn; raises LabError for too many before any is made."""
    count = math.prod(map(len, values.values()))
    if not draws and count > MOST_RUNS:
        raise LabError(f"The sweep has {count:,} runs; at most {MOST_RUNS} can be begun, or draw some of them.")
    rng = random.Random(f"sweep {seed}")
    indices = dict.fromkeys(() if 0 < draws < count else range(count))
    while len(indices) < draws < count:
        indices[rng.randrange(count)] = None
    return [_combination(values, index) for index in indices]


def _combination(values: Mapping[str, Sequence[Any]], index: int) -> dict[str, Any]:
    """The one at this place of all, the last setting changing fastest."""
    values_by_name = {}
    for name in reversed(list(values)):
        index, choice = divmod(index, len(values[name]))
        values_by_name[name] = values[name][choice]
    return {name: values_by_name[name] for name in values}


def with_values(plan: TrainingPlan, values: Mapping[str, Any]) -> TrainingPlan:
    """The plan with other values at these paths, by present or old names; raises LabError for an unknown path."""
    settings = plan.as_dict()
    owners: dict[str, type] = {"training": Training}
    with suppress(UnknownName):  # the run itself says which objective or method does not exist
        owners["method_settings"] = METHODS.get(plan.method).settings
        owners["objective_settings"] = OBJECTIVES.get(plan.objective).settings
    for name, owner in owners.items():
        with suppress(UnknownSetting):
            settings[name] = present_names(owner, settings[name])
    for path, value in values.items():
        node, (*above, last) = settings, path.split(".")
        if len(above) == 1 and above[0] in owners:
            with suppress(UnknownSetting):
                last = field_of(owners[above[0]], last).name
        for name in above:
            if not isinstance(node.get(name), dict):
                raise BadSetting("path", path, "one such as training.learning_rate or method_settings.rank")
            node = node[name]
        if last not in node and above[:1] != ["method_settings"] and above[:1] != ["objective_settings"]:
            raise BadSetting("path", path, "one such as training.learning_rate or method_settings.rank")
        node[last] = value
    return TrainingPlan.from_dict(settings)

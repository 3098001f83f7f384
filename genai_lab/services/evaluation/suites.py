"""Suites: dataset, template, shots and metrics as a text that can be shared. The shipped ones lie in `suites/`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from genai_lab.config import PROJECT
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.metrics import MetricSpec
from genai_lab.services import datasets, matrix
from genai_lab.services.evaluation.running import ModelsStarted, run_models
from genai_lab.starter.tasks import TASKS
from genai_lab.views import View

FOLDER = PROJECT / "suites"
LARGEST = 100_000


@dataclass(frozen=True)
class Suite(View):
    """`dataset` names a version, or a task of the starter world ({"starter": "summary"}), with split, rows, seed."""

    name: str
    about: str
    dataset: dict[str, Any]
    template: str
    metrics: tuple[MetricSpec, ...]
    shots: dict[str, Any]
    sampling: Sampling


def load_all(folder: Path = FOLDER) -> list[Suite]:
    """Every suite of the folder, by name."""
    return [load(path) for path in sorted(folder.glob("*.yaml"))] if folder.is_dir() else []


def load(path: Path) -> Suite:
    """Raises LabError for a file that is not a suite, naming the field."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")[:LARGEST]
        values = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise LabError(f"The suite {path.name} cannot be read ({str(problem).splitlines()[0]}).") from None
    if not isinstance(values, dict):
        raise LabError(f"The suite {path.name} must hold fields such as dataset, template and metrics.")
    names = {item.name for item in fields(Suite)} - {"name"}
    unknown = set(values) - names
    if unknown:
        raise LabError(
            f"The suite {path.name} has an unknown field {min(unknown)!r}. Known: {', '.join(sorted(names))}."
        )
    for name in ("dataset", "template", "metrics"):
        if not values.get(name):
            raise LabError(f"The suite {path.name} is missing the field {name!r}.")
    try:
        metrics = tuple(MetricSpec(item["metric"], item.get("settings", {})) for item in values["metrics"])
        sampling = Sampling.from_dict(values.get("sampling", {"greedy": True}))
    except (TypeError, KeyError, AttributeError):
        raise LabError(f"The suite {path.name} has metrics or sampling that are no list of fields.") from None
    return Suite(
        name=path.stem,
        about=str(values.get("about", "")),
        dataset=dict(values["dataset"]),
        template=str(values["template"]),
        metrics=metrics,
        shots=dict(values.get("shots", {})),
        sampling=sampling,
    )


def show(name: str) -> Suite:
    """A shipped suite by name; raises LabError."""
    suites = {suite.name: suite for suite in load_all()}
    if name not in suites:
        raise LabError(f"There is no suite {name!r}. Known: {', '.join(suites) or 'none'}.")
    return suites[name]


def run(lab: LabContext, name: str, models: Sequence[str], *, after: Sequence[int] = ()) -> ModelsStarted:
    """Queues the suite for these models: their predictions first, then their figures side by side.

    It begins when the jobs of `after` have ended.
    """
    plan = suite_plan(lab, name, models)
    return run_models(lab, plan, title=f"Suite {name}", matrix_title=f"suite {name}", seed=0, after=after)


def suite_plan(lab: LabContext, name: str, models: Sequence[str]) -> matrix.MatrixPlan:
    """What the suite asks of these models; a starter's dataset is imported where it is not there."""
    suite = show(name)
    if not models:
        raise LabError("No model is chosen; choose at least one.")
    source = suite.dataset
    return matrix.MatrixPlan(
        dataset=_dataset(lab, source),
        models=tuple(models),
        templates=(suite.template,),
        shots=(int(suite.shots.get("k", 0)),),
        selectors=(str(suite.shots.get("selector", "random")),),
        seeds=(int(suite.shots.get("seed", 0)),),
        samplings=(suite.sampling,),
        rows=int(source.get("rows", 100)),
        sample_seed=int(source.get("seed", 0)),
        split=str(source.get("split", "test")),
        metrics=suite.metrics,
    )


def _dataset(lab: LabContext, source: dict[str, Any]) -> str:
    if "starter" in source:
        TASKS.get(str(source["starter"]))
        return datasets.import_starter(lab, str(source["starter"])).name
    if "name" not in source:
        raise LabError("The suite's dataset needs a name, or starter: TASK.")
    return datasets.show(lab, str(source["name"])).name

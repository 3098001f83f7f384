"""Fine-tuning: plans from keywords, runs to follow, studies of several runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from genai_lab.api.base import Future, Handle, Table, name_of, names_of, wait_for_job
from genai_lab.api.datasets import Datasets
from genai_lab.api.evaluation import Evaluation, choices_of
from genai_lab.api.templates import Templates
from genai_lab.context import LabContext
from genai_lab.services import alignment, lineage, training
from genai_lab.services.training import batch_preview as previewing
from genai_lab.services.training import reward_studies, studies, study_results
from genai_lab.services.training.plan_settings import by_owner
from genai_lab.training import DatasetSpec, TrainingPlan

if TYPE_CHECKING:
    import pandas as pd

    from genai_lab.services.lineage import Lineage
    from genai_lab.services.training.batch_preview import FirstBatch
    from genai_lab.services.training.studies import StudyView
    from genai_lab.services.training.views import TrainingView


class TrainingRun(Future):
    """A fine-tuning run; `model` is the name of the model that it makes."""

    @property
    def view(self) -> "TrainingView":
        return training.show(self.context, self.id)

    @property
    def job_id(self) -> int | None:
        job = self.view.job
        return job.id if job is not None else None

    @property
    def model(self) -> str:
        return self.view.model or ""

    @property
    def plan(self) -> TrainingPlan:
        return self.view.plan

    @property
    def curves(self) -> "pd.DataFrame":
        """Training loss, validation loss, learning rate and more by step."""
        import pandas as pd

        points = training.curves(self.context, self.view)
        series = {name: pd.Series(dict(values), dtype=float) for name, values in points.items()}
        return pd.DataFrame(series).rename_axis("step").sort_index()

    @property
    def samples(self) -> Table[dict[str, Any]]:
        """What it wrote for some validation rows at each evaluation."""
        return Table(training.samples(self.context, self.id))

    @property
    def report(self) -> dict[str, Any]:
        """How a reward model or a policy does on held-out pairs; {} for other objectives."""
        return self.view.report

    def resume(self) -> Self:
        """Goes on from the last good checkpoint."""
        training.resume(self.context, self.id)
        return self

    def keep_best(self) -> int:
        """Makes the best checkpoint of a cancelled or failed run its model; returns the job."""
        return training.keep(self.context, self.id)

    def export(self, path: str | Path) -> Path:
        """Writes its model as one .zip, which transformers or PEFT load once it is unpacked."""
        return training.export(self.context, self.id, Path(path))

    def export_rollouts(self, path: str | Path, step: int | None = None, held_out: bool = False) -> Path:
        """Writes what its policy wrote and earned, at one step or at all, as .jsonl (every token) or .csv.

        With `held_out` the completions of held-out prompts at each evaluation. Raises LabError for a run without any.
        """
        file = Path(path)
        kind = alignment.EVALUATIONS if held_out else alignment.ROLLOUTS
        text = alignment.as_text(self.context, self.id, step, kind, file.suffix.removeprefix("."))
        file.write_text(text, encoding="utf-8", newline="")
        return file

    def rename(self, title: str, tags: Sequence[str] = ()) -> Self:
        training.rename(self.context, self.id, title, tags)
        return self

    def lineage(self) -> "Lineage":
        return lineage.walk(self.context, self.model)

    def learning_curve(self, shares: Sequence[float] = reward_studies.SHARES) -> "Study":
        """Reward models from shares of the pairs: whether more labels would help."""
        return Study(self.context, reward_studies.learning_curve(self.context, self.plan, shares))

    def annotator_influence(self, annotators: Sequence[str] = (), how: str = "leave out") -> "Study":
        """Reward models without each annotator's votes ("leave out"), or with them reversed ("flip")."""
        return Study(self.context, reward_studies.label_to_curve(self.context, self.plan, annotators, how))

    def as_dict(self) -> dict[str, Any]:
        view = self.view
        points = training.curves(self.context, view)
        curves = {name: [list(point) for point in values] for name, values in points.items()}
        return view.as_dict() | {"learning_rate": view.rate, "verdict": list(view.sentences), "curves": curves}

    def table(self) -> Table[dict[str, Any]]:
        view = self.view
        rows: list[dict[str, Any]] = [{"field": "status", "value": view.state}, {"field": "model", "value": view.model}]
        rows += [{"field": "method", "value": view.method}, {"field": "learning rate", "value": view.rate}]
        simple = {name: value for name, value in view.outcome.items() if not isinstance(value, dict | list)}
        rows += [{"field": name.replace("_", " "), "value": value} for name, value in simple.items()]
        return Table(rows)

    @property
    def title(self) -> str:
        return f"Fine-tuning run {self.id}: {self.view.title}"


class Study(Handle):
    """Several runs and what compares them: a sweep, a bake-off, shots against tuning, forgetting, a learning curve."""

    @property
    def view(self) -> "StudyView":
        return studies.show(self.context, self.id)

    @property
    def runs(self) -> list[TrainingRun]:
        return [TrainingRun(self.context, view.id) for view in self.view.runs]

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        return {name: Evaluation(self.context, run) for name, run in self.view.evaluations.items()}

    def wait(self, timeout: float | None = None, *, progress: bool = False) -> Self:
        """Stays until all its runs and evaluations have finished."""
        for part in [*self.runs, *self.evaluations.values()]:
            part.wait(timeout, progress=progress)
        return self

    def cancel(self) -> None:
        for part in [*self.runs, *self.evaluations.values()]:
            part.cancel()

    def results(self) -> Table[Any]:
        """Its figures: by model or method, by share of labels, by annotator, or what each suite lost."""
        view, context = self.view, self.context
        if view.kind == "learning curve":
            return Table(reward_studies.curve(context, self.id))
        if view.kind == "label to curve":
            return Table(reward_studies.influences(context, self.id))
        if view.kind in ("forgetting", "gate"):
            return Table(study_results.changes(context, view))
        if view.kind == "sweep":
            return Table([_run_summary(run) for run in view.runs])
        return Table(study_results.lines(context, view))

    def as_dict(self) -> dict[str, Any]:
        return self.view.as_dict() | {"results": self.results().as_dict()}

    def table(self) -> Table[Any]:
        return Table([_run_summary(run) for run in self.view.runs]) if self.view.runs else self.results()

    @property
    def title(self) -> str:
        return f"Study {self.id}: {self.view.title}"


class Runs:
    """All fine-tuning runs."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, id: int) -> TrainingRun:
        training.show(self.context, id)
        return TrainingRun(self.context, id)

    def list(self, limit: int = 100) -> "Table[TrainingView]":
        return Table(training.find(self.context, limit=limit), _run_summary)

    def start(
        self,
        plan: TrainingPlan,
        *,
        name: str = "",
        title: str = "",
        tags: Sequence[str] = (),
        gate: Sequence[int] = (),
        after: Sequence[int] = (),
    ) -> TrainingRun:
        """Begins the run of a plan; `gate` names evaluations of the base that run again with the model afterwards."""
        words: dict[str, Any] = {"name": name, "title": title, "tags": list(tags), "after": list(after)}
        made = studies.start_gated(self.context, plan, list(gate), **words)
        return TrainingRun(self.context, made.run_id)

    def check(self, plan: TrainingPlan) -> dict[str, Any]:
        """What the run would take (memory, time), without beginning it; raises LabError for what cannot work."""
        checked = training.check(self.context, plan)
        resolved = checked.resolved
        return checked.predicted | {"learning_rate": resolved.learning_rate, "format": resolved.format_sentence}

    def preview(self, plan: TrainingPlan) -> "FirstBatch":
        """The first batch, token by token."""
        return previewing.first_batch(self.context, plan)

    def merge(self, adapter: Any, name: str = "") -> str:
        """An adapter and its base as one model; waits for it and returns its name."""
        merge = self.start_merge(adapter, name)
        wait_for_job(self.context, merge.job_id)
        return merge.model

    def start_merge(self, adapter: Any, name: str = "") -> "training.StartedRun":
        """Queues the job that merges an adapter into its base."""
        return training.merge(self.context, name_of(adapter), name)


class Studies:
    """Studies of several runs."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, id: int) -> Study:
        studies.show(self.context, id)
        return Study(self.context, id)

    def list(self, limit: int = 50) -> "Table[StudyView]":
        return Table(
            studies.find(self.context, limit),
            lambda view: {"study": view.id, "kind": view.kind, "title": view.title},
        )

    def sweep(self, plan: TrainingPlan, grid: Mapping[str, Sequence[Any]], *, draws: int = 0, title: str = "") -> Study:
        """A run for every combination of the grid's values, such as {"training.learning_rate": [1e-4, 1e-3]}."""
        return Study(self.context, studies.sweep(self.context, plan, grid, draws=draws, title=title))

    def bake_off(
        self, plan: TrainingPlan, methods: Sequence[str], *, memory: int | None = None, title: str = "", **held_out: Any
    ) -> Study:
        """Trains with each method, at equal steps or within equal memory in bytes, and measures all on held-out rows:
        `rows`, `split`, `max_new_tokens`, `metrics`, `seed`.
        """
        rows = held_out_rows(**held_out)
        return Study(self.context, studies.bake_off(self.context, plan, methods, rows, memory=memory, title=title))

    def shots_against_tuning(
        self, plan: TrainingPlan, shots: Sequence[int], methods: Sequence[str], *, title: str = "", **held_out: Any
    ) -> Study:
        """The base with so many shots beside the model that each method tunes, on the same held-out rows."""
        rows = held_out_rows(**held_out)
        return Study(self.context, studies.shots_against_tuning(self.context, plan, shots, methods, rows, title=title))

    def forgetting(self, base: Any, tuned: Any, suites: Sequence[str], *, title: str = "") -> Study:
        """Base and tuned models on suites: what tuning lost."""
        names = names_of(tuned)
        return Study(self.context, studies.forgetting(self.context, name_of(base), names, suites, title=title))

    def gate(self, evaluations: Sequence[int], base: Any, tuned: Any, *, title: str = "") -> Study:
        """Saved evaluations again, with the tuned model in the base's place."""
        return Study(self.context, studies.gate(self.context, evaluations, name_of(base), name_of(tuned), title=title))


def held_out_rows(**options: Any) -> studies.Held:
    if "metrics" in options:
        options["metrics"] = choices_of(options["metrics"])
    return studies.Held(**options)


def plan_of(
    context: LabContext,
    model: Any,
    data: Any,
    *,
    objective: str = "instruction",
    method: str = "lora",
    template: Any = (),
    **settings: Any,
) -> TrainingPlan:
    """A Plan from keywords: settings of the training, of the method and of the objective by their names."""
    datasets = data if isinstance(data, list | tuple) and not _is_rows(data) else [data]
    templates = tuple(map(Templates(context).name_for, template if isinstance(template, list | tuple) else [template]))
    parts = [
        {"dataset": part.dataset, "templates": list(part.templates), "weight": part.weight}
        if isinstance(part, DatasetSpec)
        else {"dataset": Datasets(context).load(part).name, "templates": list(templates)}
        for part in datasets
    ]
    values = by_owner(settings, objective, method)
    return TrainingPlan.from_dict(
        {"model": name_of(model), "data": parts, "objective": objective, "method": method, **values}
    )


def _is_rows(data: Sequence[Any]) -> bool:
    """Whether a list is a dataset itself (rows) and not a mixture of datasets."""
    return bool(data) and isinstance(data[0], Mapping)


def _run_summary(view: "TrainingView") -> dict[str, Any]:
    return {
        "run": view.id,
        "state": view.state,
        "method": view.method,
        "model": view.model,
        "best loss": view.outcome.get("best_loss"),
        "title": view.title,
    }

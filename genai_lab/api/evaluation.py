"""Evaluations: systems on a dataset, with intervals and verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Future, Table, jobs_of, name_of, names_of, wait_for_job
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.metrics import measure as measure_rows
from genai_lab.metrics import settings_of as metric_settings
from genai_lab.services import evaluation, jobs, scorers
from genai_lab.services.evaluation import MetricSpec, comparing, harness, report, suites, uploads

if TYPE_CHECKING:
    from genai_lab.metrics import Measured
    from genai_lab.services.evaluation import EvaluationView, ScoreView, SystemView


class Evaluation(Future):
    """Systems side by side: scores with 95 % intervals, and verdicts against a baseline."""

    @property
    def view(self) -> "EvaluationView":
        return evaluation.show(self.context, self.id)

    @property
    def job_id(self) -> int | None:
        job = jobs.of_run(self.context, self.id)
        return job.id if job is not None else None

    @property
    def scores(self) -> "tuple[ScoreView, ...]":
        return self.view.scores

    @property
    def systems(self) -> "tuple[SystemView, ...]":
        return self.view.systems

    def score(self, figure: str, system: int | str) -> "ScoreView":
        """One figure of a system, by the system's run or label; raises LabError where there is none."""
        for score in self.scores:
            named = system in (score.system, self.view.system(score.system).label)
            if named and figure in (score.figure, score.metric):
                return score
        raise LabError(f"Evaluation {self.id} has no {figure} of system {system}; wait for it, or choose another.")

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """What the paired tests against the baseline say, in words, figure by figure; none before it has finished."""
        view = self.view
        if view.status != "finished" or len(view.systems) < 2:
            return []
        return [
            {"metric": key[0], "figure": key[1], **compared.as_dict()}
            for key in view.figures()
            for compared in comparing.compare(self.context, view, key)
        ]

    def table(self) -> Table[dict[str, Any]]:
        view = self.view
        return Table({"system": view.system(score.system).label, **score_fields(score)} for score in view.scores)

    def report(self, path: str | Path) -> Path:
        """Writes one file by its ending: .html (self-contained, with charts), .csv or .jsonl."""
        path, view = Path(path), self.view
        writers = {
            ".csv": lambda: report.to_csv(view),
            ".jsonl": lambda: report.to_jsonl(view),
            ".html": lambda: report.to_html(self.context, view),
        }
        if path.suffix not in writers:
            raise LabError(f"{path} has no known ending; use .html, .csv or .jsonl.")
        try:
            path.write_text(writers[path.suffix](), encoding="utf-8")
        except OSError as problem:
            raise LabError(f"{path} cannot be written ({problem.strerror}); choose another path.") from None
        return path

    def as_dict(self) -> dict[str, Any]:
        return self.view.as_dict() | {"verdicts": self.verdicts}

    def __repr__(self) -> str:
        return "\n".join([super().__repr__(), *(str(each["verdict"]) for each in self.verdicts)])

    def _repr_html_(self) -> str:
        return super()._repr_html_() + "".join(f"<p>{each['verdict']}</p>" for each in self.verdicts)

    @property
    def title(self) -> str:
        view = self.view
        return f"Evaluation {self.id}: {view.title} on {view.dataset}, {view.status}"


class Evaluations:
    """All evaluations, suites, uploads and the harness."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, id: int) -> Evaluation:
        evaluation.show(self.context, id)
        return Evaluation(self.context, id)

    def list(self, limit: int = 50) -> "Table[EvaluationView]":
        return Table(evaluation.find(self.context, limit), _evaluation_summary)

    def systems(self, limit: int = 200) -> "Table[SystemView]":
        """What can be compared: cells of matrices and uploaded predictions, newest first."""
        return Table(evaluation.systems(self.context, limit=limit))

    def compare(
        self,
        systems: Sequence[int],
        metrics: Any,
        *,
        baseline: int | None = None,
        seed: int = 0,
        title: str = "",
        depends_on: int | None = None,
    ) -> Evaluation:
        """Measures systems that have answered the same rows, and tests them against the baseline."""
        made = evaluation.start(
            self.context, list(systems), choices_of(metrics), baseline=baseline, seed=seed, title=title,
            depends_on=depends_on,
        )  # fmt: skip
        return Evaluation(self.context, made.run_id)

    def suites(self) -> Table[suites.Suite]:
        return Table(suites.load_all(), lambda suite: {"name": suite.name, "about": suite.about})

    def run_suite(self, name: str, models: Any) -> Evaluation:
        """A suite on these models."""
        made = suites.run(self.context, name, names_of(models), after=jobs_of(models))
        return Evaluation(self.context, made.run_id)

    def upload(
        self, path: str | Path, predictions: Sequence[str], references: Sequence[str] = (), input: str | None = None
    ) -> tuple[int, ...]:
        """Columns of a file with predictions, each as a system that evaluations can compare; returns their runs."""
        return tuple(uploads.systems(self.context, Path(path), predictions, references, input))

    def harness(self, models: Any, tasks: Sequence[str], **options: Any) -> tuple[Evaluation, ...]:
        """Tasks of lm-evaluation-harness on models; waits for them. Options: shots, limit, seed, folder."""
        job = self.start_harness(models, tasks, **options)
        return self.of_harness(job)

    def start_harness(
        self,
        models: Any,
        tasks: Sequence[str],
        *,
        shots: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        folder: Path | None = None,
    ) -> int:
        """Queues tasks of lm-evaluation-harness; returns the job."""
        names = list(names_of(models))
        return harness.start(self.context, names, tasks, shots=shots, limit=limit, seed=seed, folder=folder)

    def of_harness(self, job: int) -> tuple[Evaluation, ...]:
        """The evaluations that a job of the harness makes, once it has finished."""
        result = wait_for_job(self.context, job).result or {}
        return tuple(Evaluation(self.context, run) for run in result["evaluations"])

    def measure(
        self,
        metric: str,
        predictions: Sequence[str],
        references: Sequence[Sequence[str] | str] = (),
        *,
        seed: int = 0,
        sources: Sequence[str] = (),
        **settings: Any,
    ) -> "Measured":
        """One metric on texts in memory, with 95 % intervals; settings are the metric's own."""
        several = [[each] if isinstance(each, str) else list(each) for each in references]
        values = metric_settings(metric, settings)
        model = scorers.scorer_for(self.context, metric, values, list(sources))
        return measure_rows(metric, predictions, several, values, model=model, seed=seed)


def choices_of(metrics: Any) -> tuple[MetricSpec, ...]:
    """Metrics as the services take them, from names, functions, Choices, (name, settings) or {name: settings}."""
    if isinstance(metrics, Mapping):
        return tuple(MetricSpec(name, dict(settings)) for name, settings in metrics.items())
    several = metrics if isinstance(metrics, list | tuple) else [metrics]
    return tuple(map(_choice, several))


def _choice(metric: Any) -> MetricSpec:
    if isinstance(metric, MetricSpec):
        return metric
    if isinstance(metric, tuple):
        return MetricSpec(metric[0], dict(metric[1]))
    return MetricSpec(metric if isinstance(metric, str) else getattr(metric, "metric_name", None) or name_of(metric))


def score_fields(score: "ScoreView") -> dict[str, Any]:
    return {
        "metric": score.metric,
        "figure": score.figure,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "n": score.n,
    }


def _evaluation_summary(view: "EvaluationView") -> dict[str, Any]:
    names = ", ".join(system.label for system in view.systems)
    return {
        "evaluation": view.id,
        "status": view.status,
        "dataset": view.dataset,
        "systems": names,
        "title": view.title,
    }

"""Matrices and evaluations: models on a dataset, with intervals and verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Future, Table, jobs_of, name_of, names_of, wait_for_job
from genai_lab.api.datasets import Datasets
from genai_lab.api.generation import own_names
from genai_lab.api.records import Presets
from genai_lab.api.templates import Templates
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.metrics import measure as measure_rows
from genai_lab.metrics import settings_of as metric_settings
from genai_lab.services import evaluation, jobs, matrix, scorers
from genai_lab.services.evaluation import MetricSpec, comparing, harness, report, suites, uploads
from genai_lab.services.matrix import estimating, promoting, reading
from genai_lab.services.prompting import keys_of

if TYPE_CHECKING:
    from genai_lab.metrics import Measured
    from genai_lab.services.evaluation import EvaluationView, ScoreView, SystemView
    from genai_lab.services.matrix import MatrixView
    from genai_lab.services.matrix.estimating import MatrixEstimate


class Matrix(Future):
    """Models x templates x shots x settings over the same rows of a dataset."""

    @property
    def view(self) -> "MatrixView":
        return matrix.show(self.context, self.id)

    @property
    def job_id(self) -> int | None:
        return self.view.job_id

    @property
    def cells(self) -> tuple[int, ...]:
        """The runs of its cells, which an evaluation can compare as systems."""
        return tuple(cell.system.id for cell in self.view.cells)

    def table(self) -> Table[dict[str, Any]]:
        return Table(
            {
                "run": cell.system.id,
                "model": cell.system.model,
                "template": cell.system.template,
                "shots": cell.k,
                "selector": cell.selector,
                "temperature": 0 if cell.sampling["greedy"] else cell.sampling["temperature"],
                "seed": cell.seed,
                **_score_fields(score),
            }
            for cell in self.view.cells
            for score in cell.scores
        )

    def predictions(self, cell: int | None = None, only: "reading.Filter" = "all") -> "Table[reading.Prediction]":
        """What a cell answered, row by row; the first cell without a number. `only` is failures, worst, rated..."""
        view = self.view
        run = view.cells[0].system.id if cell is None else cell
        key = next(iter(reading.figures(view)), None)
        return Table(reading.predictions(self.context, view, run, key, kind=only), _prediction_summary)

    def rate(self, prediction: int, thumb: int | None = None, comment: str | None = None) -> None:
        """Keeps a thumb (-1, 0, 1) or a comment on a completion, by its number in `predictions`."""
        reading.rate(self.context, prediction, thumb=thumb, comment=comment)

    def promote(self, cell: int | None = None) -> "promoting.Promoted":
        """Makes the template of a cell the default one and its settings a preset; the first cell without a number."""
        return promoting.promote(self.context, self.id, self.view.cells[0].system.id if cell is None else cell)

    def evaluate(self, metrics: Any = None, **options: Any) -> "Evaluation":
        """An evaluation that compares its cells; with the matrix's own metrics unless others are named."""
        chosen = self.view.plan.metrics if metrics is None else metrics
        return Evaluations(self.context).compare(list(self.cells), chosen, depends_on=self.job_id, **options)

    def rerun(self) -> "Matrix":
        """The same matrix again; what the cache has costs nothing."""
        return Matrix(self.context, matrix.rerun(self.context, self.id).run_id)

    def as_dict(self) -> dict[str, Any]:
        view = self.view
        return view.as_dict() | {"remembered": matrix.count_remembered(view)}

    @property
    def title(self) -> str:
        view = self.view
        return f"Matrix {self.id}: {view.title}, {view.status}. {matrix.count_remembered(view)}".rstrip()


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
        return Table({"system": view.system(score.system).label, **_score_fields(score)} for score in view.scores)

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


class Matrices:
    """The matrices of the prompt lab."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def get(self, id: int) -> Matrix:
        matrix.show(self.context, id)
        return Matrix(self.context, id)

    def list(self, limit: int = 50) -> "Table[MatrixView]":
        return Table(matrix.find(self.context, limit), _matrix_summary)

    def start(self, plan: matrix.MatrixPlan, *, title: str = "", after: Sequence[int] = ()) -> Matrix:
        return Matrix(self.context, matrix.start(self.context, plan, title=title, after=after).run_id)

    def estimate(self, plan: matrix.MatrixPlan) -> "MatrixEstimate":
        """What it would take: answers, those that the cache has, minutes."""
        return estimating.estimate(self.context, plan)


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


def matrix_plan(
    context: LabContext,
    models: Any,
    dataset: Any,
    *,
    template: Any,
    metrics: Any = ("exact_match",),
    shots: int | Sequence[int] = 0,
    selectors: str | Sequence[str] = "random",
    fixed: str | Sequence[int] = (),
    embedder: Any = "",
    diversity: float = 0.0,
    temperatures: float | Sequence[float] = (),
    presets: str | Sequence[str] = (),
    sampling: Sampling | Mapping[str, Any] | None = None,
    seeds: int | Sequence[int] = 0,
    rows: int = 100,
    split: str = "test",
    shot_split: str = "train",
    format: str = "by model",
    use_cache: bool = True,
    **settings: Any,
) -> matrix.MatrixPlan:
    """The plan of a matrix. Decoding is greedy unless a temperature, presets or a sampling say otherwise; further
    keywords are sampling settings, such as max_new_tokens. `num_return_sequences` is the number of completions per row.
    """
    settings = own_names(settings)
    completions = settings.pop("num_return_sequences", 1)
    templates = template if isinstance(template, list | tuple) else [template]
    all_seeds = _several(seeds, int)
    return matrix.MatrixPlan(
        dataset=Datasets(context).load(dataset).name,
        models=names_of(models),
        templates=tuple(map(Templates(context).name_for, templates)),
        shots=_several(shots, int),
        selectors=_several(selectors, str),
        samplings=_samplings(context, temperatures, presets, sampling, settings),
        seeds=all_seeds,
        rows=rows,
        sample_seed=all_seeds[0] if all_seeds else 0,
        split=split,
        shot_split=shot_split,
        fixed=keys_of(fixed) if isinstance(fixed, str) else tuple(number - 1 for number in fixed),
        embedder=name_of(embedder),
        diversity=diversity,
        rendering=format,  # type: ignore[arg-type]
        use_cache=use_cache,
        metrics=choices_of(metrics),
        num_return_sequences=completions,
    )


def _samplings(
    context: LabContext,
    temperatures: float | Sequence[float],
    presets: str | Sequence[str],
    sampling: Sampling | Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> tuple[Sampling, ...]:
    """One per temperature, then one per preset, then the given one; greedy without any of them."""
    unset = sampling is None and not _several(temperatures, float) and not _several(presets, str)
    if unset and "temperature" in settings and "greedy" not in settings:
        temperatures = settings["temperature"]
    found = [_at(temperature, settings) for temperature in _several(temperatures, float)]
    found += [
        Sampling.from_dict({**Presets(context).get(name).as_dict(), **settings}) for name in _several(presets, str)
    ]
    if sampling is not None:
        values = sampling.as_dict() if isinstance(sampling, Sampling) else dict(sampling)
        found.append(Sampling.from_dict({**values, **settings}))
    return tuple(found) or (Sampling.from_dict({"greedy": True, **settings}),)


def _at(temperature: float, settings: Mapping[str, Any]) -> Sampling:
    """Sampling at a temperature; 0 is greedy decoding."""
    chosen = {"temperature": temperature} if temperature else {"greedy": True}
    return Sampling.from_dict({**settings, **chosen})


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


def _several(values: Any, kind: type) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list | tuple | range) else (kind(values),)


def _prediction_summary(row: reading.Prediction) -> dict[str, Any]:
    first = row.completions[0]
    thumb = {1: "up", -1: "down"}.get(first.thumb, "")
    return {"prediction": first.generation, "text": first.text, "value": row.value, "thumb": thumb}


def _score_fields(score: "ScoreView") -> dict[str, Any]:
    return {
        "metric": score.metric,
        "figure": score.figure,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "n": score.n,
    }


def _matrix_summary(view: "MatrixView") -> dict[str, Any]:
    return {"matrix": view.id, "status": view.status, "dataset": view.dataset, "title": view.title}


def _evaluation_summary(view: "EvaluationView") -> dict[str, Any]:
    names = ", ".join(system.label for system in view.systems)
    return {
        "evaluation": view.id,
        "status": view.status,
        "dataset": view.dataset,
        "systems": names,
        "title": view.title,
    }

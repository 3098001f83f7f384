"""Matrices: models x templates x shots x settings over the same rows of a dataset."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genai_lab.api.base import Future, Table, name_of, names_of
from genai_lab.api.datasets import Dataset, Datasets
from genai_lab.api.evaluation import Evaluation, Evaluations, choices_of, score_fields
from genai_lab.api.generation import own_names
from genai_lab.api.records import Presets
from genai_lab.api.templates import Templates
from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.services import matrix
from genai_lab.services.alignment import BestOfN, best_to_dataset
from genai_lab.services.matrix import estimating, promoting, reading, thumbs
from genai_lab.services.prompting import keys_of

if TYPE_CHECKING:
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
                **score_fields(score),
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

    def thumbs_to_dataset(self, name: str = "") -> Dataset:
        """Its completions with a thumb as a dataset of labels (True is a thumb up), which KTO learns from."""
        return Datasets(self.context).load(thumbs.to_dataset(self.context, self.id, name).name)

    def best_to_dataset(self, rewards: str | Sequence[str], cell: int | None = None, name: str = "") -> BestOfN:
        """The best completion of each row of a cell (the first without a number) as an instruction dataset: rejection
        sampling. `rewards` are parts of a score, such as "reward_model:my-model" or "-0.05 * length".
        """
        system = self.view.cells[0].system.id if cell is None else cell
        return best_to_dataset(self.context, system, _several(rewards, str), name)

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


def _several(values: Any, kind: type) -> tuple[Any, ...]:
    return tuple(values) if isinstance(values, list | tuple | range) else (kind(values),)


def _prediction_summary(row: reading.Prediction) -> dict[str, Any]:
    first = row.completions[0]
    thumb = {1: "up", -1: "down"}.get(first.thumb, "")
    return {"prediction": first.generation, "text": first.text, "value": row.value, "thumb": thumb}


def _matrix_summary(view: "MatrixView") -> dict[str, Any]:
    return {"matrix": view.id, "status": view.status, "dataset": view.dataset, "title": view.title}

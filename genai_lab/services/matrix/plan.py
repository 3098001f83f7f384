"""What a matrix tries: models x templates x shots x settings x seeds over the same rows of a dataset."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.metrics import MetricSpec
from genai_lab.metrics.grouping import MOST_PER_ROW
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.services import prompting
from genai_lab.views import View

MOST_CELLS = 200
MOST_ROWS = 20_000
MOST_COMPLETIONS = 100_000


@dataclass(frozen=True)
class MatrixPlan(View):
    """What is to be tried. Every combination is a cell; all cells answer the same rows of the dataset.

    `rows` are sampled from `split` with `sample_seed`; shots come from `shot_split`. A seed chooses shots and samples
    tokens. `embedder` and `diversity` are of shots chosen by meaning. Every cell makes `num_return_sequences`
    completions of each row, whatever its sampling says.
    """

    dataset: str
    models: tuple[str, ...]
    templates: tuple[str, ...]
    shots: tuple[int, ...] = (0,)
    selectors: tuple[str, ...] = ("random",)
    samplings: tuple[Sampling, ...] = (Sampling(greedy=True),)
    seeds: tuple[int, ...] = (0,)
    rows: int = 100
    sample_seed: int = 0
    split: str = "test"
    shot_split: str = "train"
    fixed: tuple[int, ...] = ()
    rendering: prompting.Rendering = "by model"
    use_cache: bool = True
    metrics: tuple[MetricSpec, ...] = (MetricSpec("exact_match"),)
    num_return_sequences: int = 1
    embedder: str = ""
    diversity: float = 0.0

    def __post_init__(self) -> None:
        for name in ("models", "templates", "shots", "selectors", "samplings", "seeds"):
            if not getattr(self, name):
                raise LabError(f"The matrix has no {name}; choose at least one.")
        if not 1 <= self.rows <= MOST_ROWS:
            raise BadSetting("rows", self.rows, f"a whole number from 1 to {MOST_ROWS:,}")
        self._check_completions()
        if self.rendering not in prompting.RENDERINGS:
            raise BadSetting("form", self.rendering, f"one of {', '.join(prompting.RENDERINGS)}")
        for selector, k, seed in itertools.product(self.selectors, self.shots, self.seeds):
            ShotSettings(selector, k, seed, self.fixed, self.embedder, self.diversity)
            if selector == "fixed" and k > len(self.fixed):
                raise LabError(f"{k} fixed shots are asked for, but {len(self.fixed)} rows are named; name more.")
        if self.split == self.shot_split and max(self.shots):
            raise LabError(f"Rows and shots both come from {self.split}; choose another split for the shots.")

    def _check_completions(self) -> None:
        k = self.num_return_sequences
        if not 1 <= k <= MOST_PER_ROW:
            raise BadSetting("num_return_sequences", k, f"a whole number from 1 to {MOST_PER_ROW}")
        if self.rows * k > MOST_COMPLETIONS:
            raise LabError(
                f"{self.rows:,} rows with {k} completions each are more than {MOST_COMPLETIONS:,}; choose fewer."
            )
        if k > 1 and any(sampling.greedy for sampling in self.samplings):
            raise LabError(
                f"{k} completions a row are asked for, but greedy decoding gives the same one each time; choose a "
                "temperature above 0, or one completion."
            )

    def cells(self) -> "list[Cell]":
        """Every combination once: without shots their choice makes no difference, nor do seeds where all is greedy."""
        combinations: dict[Cell, None] = {}
        for model, template, k, selector, sampling, seed in itertools.product(
            self.models, self.templates, self.shots, self.selectors, self.samplings, self.seeds
        ):
            cell_seed = self.seeds[0] if sampling.greedy and not k else seed
            combinations[Cell(model, template, k, selector if k else "", _frozen(sampling.as_dict()), cell_seed)] = None
        if len(combinations) > MOST_CELLS:
            raise LabError(f"The matrix has {len(combinations):,} cells; at most {MOST_CELLS} can run at once.")
        return list(combinations)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"samplings": [sampling.as_dict() for sampling in self.samplings]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "MatrixPlan":
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list | tuple)}
        lists["samplings"] = tuple(Sampling.from_dict(item) for item in values["samplings"])
        lists["metrics"] = tuple(MetricSpec(**item) for item in values["metrics"])
        return cls(**values | lists)


@dataclass(frozen=True)
class Cell(View):
    """One combination; `settings` are the sampling settings, frozen."""

    model: str
    template: str
    k: int
    selector: str
    settings: tuple[tuple[str, Any], ...]
    seed: int

    @property
    def sampling(self) -> Sampling:
        return Sampling.from_dict(dict(self.settings) | {"seed": self.seed})

    @property
    def needs_embedder(self) -> bool:
        return self.shots.needs_embedder

    @property
    def shots(self) -> ShotSettings:
        return ShotSettings(selector=self.selector or "first", k=self.k, seed=self.seed)


def label(cell: Cell, cells: Sequence[Cell]) -> str:
    """What tells the cell from the others: only what differs, the model at least."""
    parts = [cell.model]
    if len({item.template for item in cells}) > 1:
        parts.append(cell.template)
    if len({item.k for item in cells}) > 1 or cell.k:
        parts.append(f"{cell.k} shots" if cell.k != 1 else "1 shot")
    if len({item.selector for item in cells if item.k}) > 1 and cell.k:
        parts.append(cell.selector)
    settings = [dict(item.settings) for item in cells]
    for name, value in cell.settings:
        if name != "seed" and len({repr(item[name]) for item in settings}) > 1:
            parts.append(f"{name.replace('_', ' ')} {value}")
    if len({item.seed for item in cells}) > 1:
        parts.append(f"seed {cell.seed}")
    return " · ".join(parts)


def cell_settings(cell: Cell, plan: MatrixPlan) -> dict[str, Any]:
    """What the run of a cell keeps beside its inputs."""
    return {
        "k": cell.k,
        "selector": cell.selector,
        # Cells with and without shots end their text at the same place, or they could not be compared.
        "most_shots": max(plan.shots),
        "sampling": cell.sampling.as_dict(),
        "split": plan.split,
        "shot_split": plan.shot_split,
        "rows": plan.rows,
        "sample_seed": plan.sample_seed,
        "rendering": plan.rendering,
        "fixed": list(plan.fixed),
        "completions_per_row": plan.num_return_sequences,
        **({"embedder": plan.embedder, "diversity": plan.diversity} if cell.needs_embedder else {}),
    }


def _frozen(settings: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}
    return tuple(sorted((values | {"seed": None}).items()))

"""What the loop is handed: a folder with the plan, the base's folder and the items, so that it needs no database."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from genai_lab.files import write_json
from genai_lab.settings import read_settings
from genai_lab.training import Architecture, Plan, Training
from genai_lab.training.batches import Draws, read_items, training_draws, write_items
from genai_lab.training.methods import METHODS
from genai_lab.training.objectives import OBJECTIVES, Item

FILE = "work.json"
SHOWN = 5


@dataclass(frozen=True)
class TrainingInputs:
    """One run, ready to be done. `base` is the model's folder, `name` its name in the catalogue; `labels` are the
    classes in order; `shown` are the rows of the validation items whose completions are written at each evaluation.
    `turns` and `sizes` of the parts are what `batches.training_draws` is told; `default_rate` is the learning rate
    where the plan gives none, 0 for the method's own. The
    validation items `scored` are completed at each evaluation and measured by `metric` (see `scoring`).
    `chat` says that prompts are read in the base's chat template.
    """

    plan: Plan
    base: Path
    name: str
    architecture: Architecture
    steps: int
    device: str
    labels: tuple[str, ...] = ()
    shown: tuple[int, ...] = ()
    parts: int = 1
    turns: tuple[tuple[int, ...], ...] = ()
    sizes: tuple[int, ...] = ()
    default_rate: float = 0.0
    scored: tuple[int, ...] = ()
    metric: str = ""
    chat: bool = False

    @property
    def training(self) -> Training:
        return self.plan.training

    @property
    def method(self) -> Any:
        return METHODS.get(self.plan.method)

    @property
    def objective(self) -> Any:
        return OBJECTIVES.get(self.plan.objective)

    @property
    def method_settings(self) -> Any:
        return read_settings(self.method.settings, self.plan.method_settings, self.method.title)

    @property
    def objective_settings(self) -> Any:
        return read_settings(self.objective.settings, self.plan.objective_settings, self.objective.title)

    @property
    def rate(self) -> float:
        return self.training.learning_rate or self.default_rate or self.method.rate

    def write(self, folder: Path, train: Sequence[Sequence[Item]], validation: Sequence[Item]) -> None:
        """Everything into `folder`, the file that says so last."""
        folder.mkdir(parents=True, exist_ok=True)
        for place, items in enumerate(train):
            write_items(folder / f"train-{place}.npz", items)
        write_items(folder / "validation.npz", validation)
        kept = asdict(replace(self, parts=len(train))) | {"plan": self.plan.as_dict(), "base": str(self.base)}
        write_json(folder / FILE, kept)

    @classmethod
    def read(cls, folder: Path) -> "TrainingInputs":
        kept: dict[str, Any] = json.loads((folder / FILE).read_text())
        kept |= {name: tuple(kept.get(name, ())) for name in ("labels", "shown", "turns", "sizes", "scored")}
        return cls(**kept | {"plan": Plan.from_dict(kept["plan"]), "base": Path(kept["base"])})

    def draws(self, items: Sequence[Sequence[Item]], tokenizer: Any) -> Draws:
        """What the run reads of its items, in order."""
        return training_draws(
            self.plan, items, self.steps, self.objective, self.objective_settings, tokenizer, self.architecture,
            self.turns, self.sizes,
        )  # fmt: skip

    def items(self, folder: Path) -> tuple[list[list[Item]], list[Item]]:
        """(items of each part, validation items)."""
        return [read_items(folder / f"train-{n}.npz") for n in range(self.parts)], read_items(folder / "validation.npz")

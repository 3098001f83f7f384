"""What the loop is handed: a folder with the plan, the base's folder and the examples, so that it needs no database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from genai_lab.files import write_json
from genai_lab.settings import read_settings
from genai_lab.training.batches import FeatureDataset, training_dataset
from genai_lab.training.example_files import read_examples, write_examples
from genai_lab.training.methods import METHODS, Method
from genai_lab.training.objective import EncodingContext, Objective
from genai_lab.training.objectives import OBJECTIVES
from genai_lab.training.plan import Architecture, Training, TrainingPlan

FILE = "inputs.json"
OLD_FILE = "work.json"
OLD_NAMES = {"shown": "sampled", "parts": "datasets", "turns": "passes", "sizes": "rows_per_source"}
SAMPLES = 5


@dataclass(frozen=True)
class TrainingInputs:
    """One run, ready to start. `base` is the model's folder, `name` its name in the catalogue; `labels` are the
    classes in order; `sampled` are the validation examples whose completions are shown at each evaluation. `passes`
    and `rows_per_source` of the datasets go to `batches.training_dataset`; `default_rate` is the learning rate where
    the plan gives none, 0 for the method's own. The validation examples `scored` are completed at each evaluation and
    measured by `metric` (see `completion_scores`). `chat` says that prompts are read in the base's chat template.
    `models` are the folders of other models by role.
    """

    plan: TrainingPlan
    base: Path
    name: str
    architecture: Architecture
    steps: int
    device: str
    labels: tuple[str, ...] = ()
    sampled: tuple[int, ...] = ()
    datasets: int = 1
    passes: tuple[tuple[int, ...], ...] = ()
    rows_per_source: tuple[int, ...] = ()
    default_rate: float = 0.0
    scored: tuple[int, ...] = ()
    metric: str = ""
    chat: bool = False
    models: Mapping[str, Path] = field(default_factory=dict)

    @property
    def training(self) -> Training:
        return self.plan.training

    @property
    def method(self) -> Method:
        return METHODS.get(self.plan.method)

    @property
    def objective(self) -> Objective:
        return OBJECTIVES.get(self.plan.objective)

    @property
    def method_settings(self) -> Any:
        return read_settings(self.method.settings, self.plan.method_settings, self.method.title)

    @property
    def objective_settings(self) -> Any:
        return self.objective.settings_of(self.plan)

    @property
    def learning_rate(self) -> float:
        return self.training.learning_rate or self.default_rate or self.method.rate

    @property
    def one_at_a_time(self) -> bool:
        """Whether completions are written alone, since rows padded on the left would be misread."""
        return bool(self.method.virtual_tokens(self.method_settings))

    def encoding(self, tokenizer: Any, decoder_start: int | None = None) -> EncodingContext:
        return EncodingContext(
            tokenizer, self.architecture, self.training, self.objective_settings, self.labels, decoder_start
        )

    def write(self, folder: Path, train: Sequence[Sequence[Any]], validation: Sequence[Any]) -> None:
        """Everything into `folder`, the file that names it last."""
        folder.mkdir(parents=True, exist_ok=True)
        kind = self.objective.example_type
        for index, examples in enumerate(train):
            write_examples(folder / f"train-{index}.npz", examples, kind)
        write_examples(folder / "validation.npz", validation, kind)
        values = asdict(replace(self, datasets=len(train), models={}))
        values |= {"plan": self.plan.as_dict(), "base": str(self.base)}
        values["models"] = {role: str(path) for role, path in self.models.items()}
        write_json(folder / FILE, values)

    @classmethod
    def read(cls, folder: Path) -> "TrainingInputs":
        """Raises OSError where there are none. Those of earlier versions are read too."""
        path = folder / FILE if (folder / FILE).is_file() else folder / OLD_FILE
        values: dict[str, Any] = json.loads(path.read_text())
        values = {OLD_NAMES.get(name, name): value for name, value in values.items()}
        for name in ("labels", "sampled", "rows_per_source", "scored"):
            values[name] = tuple(values.get(name, ()))
        values["passes"] = tuple(map(tuple, values.get("passes", ())))
        values["models"] = {role: Path(path) for role, path in values.get("models", {}).items()}
        return cls(**values | {"plan": TrainingPlan.from_dict(values["plan"]), "base": Path(values["base"])})

    def dataset(self, examples: Sequence[Sequence[Any]], context: EncodingContext) -> FeatureDataset:
        """What the run reads of its examples, in order."""
        return training_dataset(
            self.plan, examples, self.steps, self.objective, context, self.passes, self.rows_per_source
        )

    def examples(self, folder: Path) -> tuple[list[list[Any]], list[Any]]:
        """(examples of each dataset, validation examples)."""
        kind = self.objective.example_type
        train: list[list[Any]] = [read_examples(folder / f"train-{index}.npz", kind) for index in range(self.datasets)]
        return train, read_examples(folder / "validation.npz", kind)

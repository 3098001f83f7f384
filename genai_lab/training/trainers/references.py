"""Log-probabilities of a reference model, read once for all that a run reads, so that no second model is held."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from genai_lab.files import atomic_write
from genai_lab.training.batches import FeatureDataset, Index
from genai_lab.training.lab_trainer import LabTrainer
from genai_lab.training.loading import load_module

FILE = "reference.npz"


class ReferencedTrainer(LabTrainer):
    """A run whose loss compares the model with a reference: the plan's model of that role, or else the module as it was
    before the first step, without its adapter. The values are stored beside the checkpoints.
    """

    reference_width = 2  # values per row

    def reference_values(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """(B, reference_width) log-probabilities in nats of a batch under the reference model."""
        raise NotImplementedError

    def read_references(self) -> None:
        """Gives both datasets their reference values, from the file of an earlier start where there is one."""
        path = self.out / FILE
        if not path.is_file():
            datasets = {"train": self.train_features, "held": self.validation}
            model = self._reference_model()
            arrays: dict[str, Any] = {}
            for name, dataset in datasets.items():
                indices = [*dict.fromkeys(dataset.indices)]
                arrays[f"{name} places"] = np.array(indices)
                arrays[name] = self._values(model, dataset, indices)
            self.out.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as draft:
                np.savez(draft, **arrays)
        with np.load(path, allow_pickle=False) as arrays:
            self.train_features = self._with_references(self.train_features, arrays, "train")
            self.validation = self._with_references(self.validation, arrays, "held")
        self.train_dataset, self.eval_dataset = self.train_features, self.validation  # type: ignore[assignment]

    def _reference_model(self) -> Any:
        self.model.eval()
        folder = self.inputs.models.get("reference")
        if folder is None:
            return self.model
        module = load_module(folder, self.inputs.architecture, self.objective.module_kind).to(self.args.device)
        return self.prepare_reference(module.eval())

    def prepare_reference(self, module: Any) -> Any:
        """What a model of that role needs before it is read."""
        return module

    def _values(self, model: Any, dataset: FeatureDataset, indices: list[Index]) -> np.ndarray:
        values = np.zeros((len(indices), self.reference_width), dtype=np.float32)
        rows = replace(dataset, indices=indices)
        order = sorted(range(len(indices)), key=lambda at: self.objective.width(dataset.example(indices[at])))
        size = self.args.per_device_train_batch_size
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            batch = self._prepare_inputs(self.collate([rows[at] for at in chosen]))
            values[chosen] = self.reference_values(model, batch).float().cpu().numpy()
        return values

    def _with_references(self, dataset: FeatureDataset, arrays: Any, name: str) -> FeatureDataset:
        rows = zip(arrays[f"{name} places"].tolist(), arrays[name].tolist(), strict=True)
        return replace(dataset, references={(part, example): tuple(values) for (part, example), values in rows})

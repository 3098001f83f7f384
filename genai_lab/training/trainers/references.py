"""Log-probabilities of a reference model, read once for all that a run reads, so that no second model is held."""

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from genai_lab.files import atomic_write
from genai_lab.training.batches import FeatureDataset, Index
from genai_lab.training.examples import IGNORED
from genai_lab.training.lab_trainer import LabTrainer
from genai_lab.training.loading import load_module

FILE = "reference.npz"


class ReferencedTrainer(LabTrainer):
    """A run whose loss compares the model with a reference: the plan's model of that role, or else the module as it was
    before the first step, without its adapter. The values are stored beside the checkpoints.
    """

    def reference_values(self, model: Any, batch: dict[str, Any]) -> torch.Tensor:
        """(B, 2) log-probabilities in nats of both sequences of each row, which stand in two halves of the batch."""
        with torch.no_grad(), self.without_adapter(), self.accelerator.autocast():
            return torch.stack(self.token_log_probs(model, batch, slice(None)).sum(-1).chunk(2), 1)

    def token_log_probs(self, model: Any, batch: dict[str, Any], rows: slice) -> torch.Tensor:
        """(B, S) log-probabilities in nats of the learned tokens of these rows of the batch, 0 elsewhere."""
        names = ("input_ids", "attention_mask", "decoder_input_ids")
        inputs = {name: batch[name][rows] for name in names if name in batch}
        labels = batch["labels"][rows]
        logits = model(**inputs, use_cache=False).logits[:, -labels.shape[1] :].float()
        tokens = logits.log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
        return tokens * (labels != IGNORED)

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

    def without_adapter(self) -> Any:
        """A context in which the module reads as it did before its adapter was put in."""
        module = self.accelerator.unwrap_model(self.model)
        return module.disable_adapter() if isinstance(module, PeftModel) else nullcontext()

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
        values = np.zeros((len(indices), 2), dtype=np.float32)
        rows = replace(dataset, indices=indices)
        order = sorted(range(len(indices)), key=lambda at: self.objective.width(dataset.example(indices[at])))
        size = self.args.per_device_train_batch_size
        for start in range(0, len(order), size):
            batch_indices = order[start : start + size]
            batch = self._prepare_inputs(self.collate([rows[at] for at in batch_indices]))
            values[batch_indices] = self.reference_values(model, batch).float().cpu().numpy()
        return values

    def _with_references(self, dataset: FeatureDataset, arrays: Any, name: str) -> FeatureDataset:
        rows = zip(arrays[f"{name} places"].tolist(), arrays[name].tolist(), strict=True)
        return replace(dataset, references={(part, example): tuple(values) for (part, example), values in rows})

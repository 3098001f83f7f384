"""Runs that learn tokens or classes by cross-entropy: transformers' Trainer with our loss and evaluation."""

from contextlib import nullcontext
from typing import Any

import torch
from transformers import Trainer

from genai_lab.training.lab_trainer import LabTrainer, TrainingSetup, arguments
from genai_lab.training.learned_positions import head_at, learned_positions, logits_at, summed_cross_entropy
from genai_lab.training.loading import ends_of


class TokenTrainer(LabTrainer, Trainer):
    """Learns tokens."""

    accuracy = "token accuracy"

    def __init__(self, setup: TrainingSetup) -> None:
        super().__init__(setup, args=arguments(setup.inputs, setup.out), compute_loss_func=self.loss_of)
        # Our labels stand at the position that predicts them already.
        self._loss_shifts_labels = False

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        outputs, labels = self.read(model, inputs)
        loss = self.loss_of(outputs, labels, num_items_in_batch)
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # whose gradients are averaged
        return (loss, outputs) if return_outputs else loss

    def read(self, model: Any, inputs: dict[str, Any]) -> tuple[Any, torch.Tensor]:
        """The model's outputs with logits (N, V) at the learned positions alone, and their labels (N,)."""
        labels, left_out = inputs["labels"], {"labels"}
        if self.maskless and labels.dim() == 2:
            left_out.add("attention_mask")
        given = {name: value for name, value in inputs.items() if name not in left_out}
        if labels.dim() == 1:
            return model(**given), labels
        positions, width = learned_positions(labels), labels.shape[1]
        # DataParallel would give each of its copies a part of the batch, which the positions do not fit.
        alone = self.args.n_gpu < 2
        with head_at(self.accelerator.unwrap_model(model), positions, width) if alone else nullcontext():
            outputs = model(**given)
        outputs.logits = logits_at(outputs.logits, positions, width)
        return outputs, labels.reshape(-1).index_select(0, positions)

    @property
    def maskless(self) -> bool:
        """Whether the model reads a batch without a mask of its padding. That stands behind a row's tokens, where a
        decoder does not look; attention then leaves out what comes later instead of computing and masking it.
        """
        return self.inputs.architecture == "decoder-only" and not self.inputs.one_at_a_time

    def loss_of(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """Cross-entropy of logits (N, V) and labels (N,), summed over learned tokens and divided by how many all
        processes have in this step.
        """
        loss = summed_cross_entropy(outputs.logits, labels)
        loss = loss / (num_items_in_batch if num_items_in_batch is not None else len(labels))
        penalty = self.penalty()
        return loss if penalty is None else loss + penalty

    def uncounted(self) -> list[int]:
        """Tokens that do not count as right or wrong: the end, which every model learns first."""
        return sorted(ends_of(self.accelerator.unwrap_model(self.model), self.tokenizer))

    def measure(self) -> dict[str, float]:
        """Loss in nats per learned token over all validation rows, and the share that is predicted first."""
        ends = self.uncounted()
        total, right, count, learned = 0.0, 0, 0, 0
        for inputs in self.validation_batches():
            outputs, labels = self.read(self.model, inputs)
            logits = outputs.logits
            total += float(summed_cross_entropy(logits, labels))
            learned += len(labels)
            counted = ~torch.isin(labels, torch.tensor(ends, device=labels.device, dtype=labels.dtype))
            right += int(((logits.argmax(-1) == labels) & counted).sum())
            count += int(counted.sum())
        return {"loss": total / max(1, learned), self.accuracy: right / max(1, count)}


class ClassTrainer(TokenTrainer):
    """Learns the class of a text."""

    accuracy = "accuracy"

    def uncounted(self) -> list[int]:
        return []

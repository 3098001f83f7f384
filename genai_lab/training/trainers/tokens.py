"""Runs that learn tokens or classes by cross-entropy: transformers' Trainer with our loss and evaluation."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from transformers import Trainer

from genai_lab.training.examples import IGNORED
from genai_lab.training.lab_trainer import LabTrainer, TrainingSetup, arguments
from genai_lab.training.loading import ends_of


class TokenTrainer(LabTrainer, Trainer):
    """Learns tokens."""

    accuracy = "token accuracy"

    def __init__(self, setup: TrainingSetup) -> None:
        super().__init__(setup, args=arguments(setup.inputs, setup.out), compute_loss_func=self.loss_of)
        # Our labels stand at the position that predicts them already.
        self._loss_shifts_labels = False

    def loss_of(self, outputs: Any, labels: Any, num_items_in_batch: Any = None) -> Any:
        """Cross-entropy summed over learned tokens and divided by how many all processes have in this step."""
        logits = _aligned(outputs.logits, labels)
        count = num_items_in_batch if num_items_in_batch is not None else (labels != IGNORED).sum()
        loss = cross_entropy(logits.float(), labels.view(-1), ignore_index=IGNORED, reduction="sum") / count
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
            labels = inputs.pop("labels")
            logits = _aligned(self.model(**inputs).logits, labels).float()
            flat = labels.view(-1)
            total += float(cross_entropy(logits, flat, ignore_index=IGNORED, reduction="sum"))
            learned += int((flat != IGNORED).sum())
            counted = (flat != IGNORED) & ~torch.isin(flat, torch.tensor(ends, device=flat.device, dtype=flat.dtype))
            right += int(((logits.argmax(-1) == flat) & counted).sum())
            count += int(counted.sum())
        return {"loss": total / max(1, learned), self.accuracy: right / max(1, count)}


class ClassTrainer(TokenTrainer):
    """Learns the class of a text."""

    accuracy = "accuracy"

    def uncounted(self) -> list[int]:
        return []


def _aligned(logits: Any, labels: Any) -> Any:
    """(N, V) logits of the positions that the labels stand for; virtual tokens before the prompt have none."""
    if labels.dim() == 1:
        return logits
    return logits[:, -labels.shape[1] :].reshape(-1, logits.shape[-1])

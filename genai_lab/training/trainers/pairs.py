"""What TRL's trainers on pairs need here: our encoded pairs, weights, curves and checkpoints.

TRL's losses are means over the pairs of a batch. Here the model reads a batch once, and TRL's own loss is taken over
the pairs of each weight in turn, so that a step's loss is the weighted mean over all its batches and processes.
"""

from types import SimpleNamespace
from typing import Any

import torch
from datasets import Dataset

from genai_lab.training.lab_trainer import LabTrainer, TrainingSetup

PER_PAIR = ("margin", "ref_chosen_logps", "ref_rejected_logps")
Sides = tuple[torch.Tensor, torch.Tensor]


class EncodedDataTrainer(LabTrainer):
    """A guest of TRL, which takes a Dataset and encodes it; ours are encoded already and take its place."""

    columns: tuple[str, ...] = ()  # that TRL expects

    def __init__(self, setup: TrainingSetup, **trainer: Any) -> None:
        empty = Dataset.from_dict({name: [[0]] for name in self.columns})
        super().__init__(setup, train_dataset=empty, eval_dataset=empty, processing_class=setup.tokenizer, **trainer)

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return self.train_features if dataset_name == "train" else self.validation

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """The lab writes its own."""

    def _send_telemetry(self) -> None:
        """Nothing is sent to anyone."""


class PairTrainer(EncodedDataTrainer):
    """`read` gives the model's outputs for both sides (2B, ...), `mean_loss` TRL's loss of them."""

    _metrics: Any
    columns = ("chosen_ids", "rejected_ids")

    def __init__(self, setup: TrainingSetup, **trainer: Any) -> None:
        self.rewards_seen: list[Sides] = []
        super().__init__(setup, **trainer)
        self.loss_is_scaled_for_ga = True

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        raise NotImplementedError

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        """Of the chosen and of the rejected sides, (B,) each."""
        raise NotImplementedError

    def mean_loss(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """TRL's loss, the mean over these pairs."""
        raise NotImplementedError

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The weighted sum over the batch's pairs by the weight of all pairs in this step."""
        outputs = self.read(model, inputs)
        with torch.no_grad():
            chosen, rejected = self.rewards(outputs, inputs)
            self.rewards_seen.append((chosen.detach(), rejected.detach()))
        count = inputs["weight"].sum() if num_items_in_batch is None else num_items_in_batch
        loss = self.weighted_loss(outputs, inputs) / count
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # whose gradients are averaged
        penalty = self.penalty()
        if penalty is not None:
            loss = loss + penalty
        return (loss, outputs) if return_outputs else loss

    def weighted_loss(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The sum over pairs of weight times TRL's loss of the pair."""
        weights = inputs["weight"]
        total: torch.Tensor = sum(self.rewards(outputs, inputs)).sum() * 0.0  # type: ignore[union-attr]
        for weight in weights[weights > 0].unique():
            rows = (weights == weight).nonzero()[:, 0]
            sides = torch.cat((rows, rows + len(weights)))
            batch = {
                name: value[rows if name in PER_PAIR else sides] for name, value in inputs.items() if name != "weight"
            }
            selected = {name: value[sides] for name, value in vars(outputs).items() if value is not None}
            total = total + weight * len(rows) * self.mean_loss(SimpleNamespace(**selected), batch)
        return total

    def _get_num_items_in_batch(self, batch_samples: list, device: Any) -> Any:
        """The weight of all pairs of a step, on all processes."""
        count = torch.stack([batch["weight"].sum() for batch in batch_samples]).sum().to(device)
        return self.accelerator.gather(count).sum() if self.args.world_size > 1 else count

    def measure(self) -> dict[str, float]:
        """Weighted mean loss in nats per pair; accuracy, margin and rewards as means over pairs."""
        total, count, rewards = 0.0, 0.0, []
        for inputs in self.validation_batches():
            outputs = self.read(self.model, inputs)
            total += float(self.weighted_loss(outputs, inputs))
            count += float(inputs["weight"].sum())
            rewards.append(self.rewards(outputs, inputs))
        self._metrics["eval"].clear()
        return {"loss": total / max(1e-9, count), **reward_figures(rewards)}

    def curves(self) -> dict[str, float]:
        figures, self.rewards_seen = reward_figures(self.rewards_seen), []
        return {f"training {name}": value for name, value in figures.items()}


def reward_figures(rewards: list[Sides]) -> dict[str, float]:
    """Means over pairs: how often the chosen side's reward is higher (a tie is one half), by how much, and both."""
    if not rewards:
        return {}
    chosen_rewards, rejected_rewards = (torch.cat([sides[side] for sides in rewards]).float() for side in (0, 1))
    return {
        "accuracy": float(
            ((chosen_rewards > rejected_rewards).float() + 0.5 * (chosen_rewards == rejected_rewards)).mean()
        ),
        "reward margin": float((chosen_rewards - rejected_rewards).mean()),
        "chosen reward": float(chosen_rewards.mean()),
        "rejected reward": float(rejected_rewards.mean()),
    }

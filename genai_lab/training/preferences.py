"""Runs on pairs: TRL's trainers for reward models and DPO, with our order, weights, curves and checkpoints.

TRL's losses are means over the pairs of a batch. Here the model reads a batch once, and TRL's own loss is asked of the
pairs of each weight in turn, so that a step's loss is the weighted mean over all its batches and processes.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from trl import DPOConfig, DPOTrainer, RewardConfig, RewardTrainer

from genai_lab.files import atomic_write
from genai_lab.training import IGNORED, Reporter
from genai_lab.training.batches import Draws, longest
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.lab_trainer import Running, arguments

REFERENCE = "reference.npz"
PAIRWISE = ("margin", "ref_chosen_logps", "ref_rejected_logps")
Sides = tuple[torch.Tensor, torch.Tensor]


class Pairs(Running):
    """What both trainers need. `read` gives the model's outputs for both sides (2B, ...), `theirs` TRL's mean loss."""

    _metrics: Any

    def __init__(self, *given: Any, **trainer: Any) -> None:
        self.seen: list[Sides] = []
        # TRL takes a Dataset and encodes it; ours are encoded, and take its place where it would do so.
        empty = Dataset.from_dict({"chosen_ids": [[0]], "rejected_ids": [[0]]})
        super().__init__(*given, train_dataset=empty, eval_dataset=empty, **trainer)
        self.loss_is_scaled_for_ga = True

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return self.draws if dataset_name == "train" else self.held

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        raise NotImplementedError

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        """Of the chosen and of the rejected sides, (B,) each."""
        raise NotImplementedError

    def theirs(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """TRL's loss, the mean over these pairs."""
        raise NotImplementedError

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The weighted sum over the batch's pairs by the weight of all pairs in this step."""
        outputs = self.read(model, inputs)
        with torch.no_grad():
            self.seen.append(tuple(one.detach() for one in self.rewards(outputs, inputs)))  # type: ignore[arg-type]
        count = inputs["weight"].sum() if num_items_in_batch is None else num_items_in_batch
        loss = self.weighed(outputs, inputs) / count
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # whose gradients are averaged
        penalty = self.method.penalty(self.model) if self.model.training else None
        if penalty is not None:
            loss = loss + penalty / self.args.gradient_accumulation_steps
        return (loss, outputs) if return_outputs else loss

    def weighed(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The sum over pairs of weight times TRL's loss of the pair."""
        weights = inputs["weight"]
        total: torch.Tensor = sum(self.rewards(outputs, inputs)).sum() * 0.0  # type: ignore[union-attr]
        for weight in weights[weights > 0].unique():
            rows = (weights == weight).nonzero()[:, 0]
            both = torch.cat((rows, rows + len(weights)))
            own = {
                name: value[rows if name in PAIRWISE else both] for name, value in inputs.items() if name != "weight"
            }
            some = SimpleNamespace(**{name: value[both] for name, value in vars(outputs).items() if value is not None})
            total = total + weight * len(rows) * self.theirs(some, own)
        return total

    def _get_num_items_in_batch(self, batch_samples: list, device: Any) -> Any:
        """The weight of all pairs of a step, on all processes."""
        count = torch.stack([one["weight"].sum() for one in batch_samples]).sum().to(device)
        return self.accelerator.gather(count).sum() if self.args.world_size > 1 else count

    def measured(self) -> dict[str, float]:
        """Weighted mean loss in nats a pair; accuracy, margin and rewards as means over pairs."""
        total, count, seen = 0.0, 0.0, []
        for inputs in self.held_batches():
            outputs = self.read(self.model, inputs)
            total += float(self.weighed(outputs, inputs))
            count += float(inputs["weight"].sum())
            seen.append(self.rewards(outputs, inputs))
        self._metrics["eval"].clear()
        return {"loss": total / max(1e-9, count), **_told(seen)}

    def curves(self) -> dict[str, float]:
        found, self.seen = _told(self.seen), []
        return {f"training {name}": value for name, value in found.items()}

    def create_model_card(self, *given: Any, **more: Any) -> None:
        """The lab writes its own."""

    def _send_telemetry(self) -> None:
        """Nothing is told to anyone."""


class RewardLoop(Pairs, RewardTrainer):
    """A reward model: -log sigmoid(r(chosen) - r(rejected) - margin) (Ouyang et al., 2022, eq. 1)."""

    def __init__(
        self, work: TrainingInputs, module: Any, tokenizer: Any, draws: Draws, held: Draws, out: Path, tell: Reporter
    ) -> None:
        settings = work.objective_settings
        more = {"center_rewards_coefficient": settings.centring or None, "disable_dropout": False}
        if settings.dropout is not None:
            for part in module.modules():
                if isinstance(part, torch.nn.Dropout):
                    part.p = settings.dropout
        args = arguments(work, out, RewardConfig, max_length=None, **more)
        super().__init__(work, module, tokenizer, draws, held, out, tell, args=args, processing_class=tokenizer)

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        out = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        return SimpleNamespace(logits=out.logits.float())

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        chosen, rejected = outputs.logits.squeeze(-1).chunk(2)
        return chosen, rejected

    def theirs(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        return RewardTrainer.compute_loss(self, lambda **_: outputs, inputs)


class DpoLoop(Pairs, DPOTrainer):
    """DPO: -log sigmoid(beta ((log p / p0)(chosen) - (log p / p0)(rejected))) (Rafailov et al., 2023, eq. 7).

    p0 is the module as it was before the first step, without its adapter; it is read once for every pair that the run
    draws and kept beside the checkpoints, so that no second model is held.
    """

    def __init__(
        self, work: TrainingInputs, module: Any, tokenizer: Any, draws: Draws, held: Draws, out: Path, tell: Reporter
    ) -> None:
        settings = work.objective_settings
        more = {"beta": settings.beta, "loss_type": [settings.loss], "label_smoothing": settings.smoothing}
        args = arguments(work, out, DPOConfig, max_length=None, router_aux_loss_coef=0.0, **more)
        super().__init__(
            work, module, tokenizer, draws, held, out, tell, args=args, processing_class=tokenizer,
            ref_model=_Absent(module.config),
        )  # fmt: skip
        self.ref_model, self.precompute_ref_logps = None, True
        self._refer()

    def _refer(self) -> None:
        """Gives the draws the log-probabilities that the base finds for both sides of each pair."""
        path = self.out / REFERENCE
        if not path.is_file():
            self.model.eval()
            train, held = ([*_once(draws)] for draws in (self.draws, self.held))
            kept = {"train": self._referred(self.draws, train), "held": self._referred(self.held, held)}
            places = {"train places": np.array(train), "held places": np.array(held)}
            self.out.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as draft:
                np.savez(draft, **kept, **places)  # type: ignore[arg-type]
        with np.load(path, allow_pickle=False) as found:
            known = [
                {
                    (int(a), int(b)): (float(c), float(r))
                    for (a, b), (c, r) in zip(found[f"{n} places"], found[n], strict=True)
                }
                for n in ("train", "held")
            ]
        self.draws, self.held = (
            replace(one, reference=own) for one, own in zip((self.draws, self.held), known, strict=True)
        )
        self.train_dataset, self.eval_dataset = self.draws, self.held  # type: ignore[assignment]

    def _referred(self, draws: Draws, places: list[tuple[int, int]]) -> np.ndarray:
        """(N, 2) log-probabilities in nats of the chosen and rejected completions at these places."""
        made = np.zeros((len(places), 2), dtype=np.float32)
        every = replace(draws, places=places)
        order = sorted(range(len(places)), key=lambda n: longest(draws.items[places[n][0]][places[n][1]]))
        size = self.args.per_device_train_batch_size
        for start in range(0, len(order), size):
            some = order[start : start + size]
            inputs = self._prepare_inputs(self.collate([every[n] for n in some]))
            own = {name: value for name, value in inputs.items() if name not in ("weight", "margin")}
            made[some] = torch.stack(self.compute_ref_log_probs(self.model, own), 1).float().cpu().numpy()
        return made

    def read(self, model: Any, inputs: dict[str, Any]) -> Any:
        labels = inputs["input_ids"].masked_fill(inputs["completion_mask"] == 0, IGNORED)
        out = model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], labels=labels, use_cache=False,
            fused_lm_head=True,
        )  # fmt: skip
        names = ("log_probs", "entropy", "mean_logits", "is_top1")
        return SimpleNamespace(**{name: getattr(out, name) for name in names})

    def rewards(self, outputs: Any, inputs: dict[str, Any]) -> Sides:
        """beta times the log-ratio of each side: the implicit reward (Rafailov et al., 2023, section 4)."""
        seen = outputs.log_probs[:, -(inputs["input_ids"].shape[1] - 1) :].sum(1)
        chosen, rejected = seen.chunk(2)
        return self.beta * (chosen - inputs["ref_chosen_logps"]), self.beta * (rejected - inputs["ref_rejected_logps"])

    def theirs(self, outputs: Any, inputs: dict[str, Any]) -> torch.Tensor:
        own = {name: value for name, value in inputs.items() if name != "margin"}
        return DPOTrainer.compute_loss(self, lambda **_: outputs, own)


class _Absent(torch.nn.Module):
    """Stands where TRL wants a reference model, since it would copy the adapter without one."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.config = config

    def forward(self, *given: Any, **more: Any) -> Any:
        raise NotImplementedError


def _once(draws: Draws) -> Iterator[tuple[int, int]]:
    """Its places, each once, in order of their first draw."""
    yield from dict.fromkeys(draws.places)


def _told(seen: list[Sides]) -> dict[str, float]:
    """Means over pairs: how often the chosen side's reward is higher (a tie is one half), by how much, and both."""
    if not seen:
        return {}
    chosen, rejected = (torch.cat([one[side] for one in seen]).float() for side in (0, 1))
    return {
        "accuracy": float(((chosen > rejected).float() + 0.5 * (chosen == rejected)).mean()),
        "reward margin": float((chosen - rejected).mean()),
        "chosen reward": float(chosen.mean()),
        "rejected reward": float(rejected.mean()),
    }

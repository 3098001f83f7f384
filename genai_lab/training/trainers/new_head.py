"""The new head of a reward model before the first step: a linear probe of what the base makes of its pairs.

A head of random weights moves the base's own weights first in directions that mean nothing (Kumar et al., 2022:
Fine-tuning can distort pretrained features and underperform out-of-distribution, section 3).
"""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from genai_lab.training.batches import FeatureDataset
from genai_lab.training.learning_rates import SMALL

MOST_PAIRS = 2000
FEWEST_PAIRS = 16
RIDGE = 0.03  # the inverse of the weight of |w|^2 / 2 beside the sum of the pairs' losses
ITERATIONS = 400


def has_new_head(module: Any) -> bool:
    """Whether the module is a decoder of more than SMALL parameters whose base had no head, so that `score` is random.

    Small bases have read little that a probe could use, and learn at rates that would undo it.
    """
    names = getattr(module.config, "architectures", None) or ()
    large = sum(weight.numel() for weight in module.parameters()) > SMALL
    return (
        large and hasattr(_unwrapped(module), "score") and not any("SequenceClassification" in name for name in names)
    )


def probe(trainer: Any, pairs: FeatureDataset) -> torch.Tensor | None:
    """(1, H) weights that minimise the run's own loss over at most MOST_PAIRS of its pairs, on states of the base as it
    is; None where there are too few pairs.
    """
    every = [(part, number) for part, examples in enumerate(pairs.examples) for number in range(len(examples))]
    rows = random.Random(f"head {pairs.seed}").sample(every, min(len(every), MOST_PAIRS))
    read = replace(pairs, indices=rows)
    features = [row for row in (read[place] for place in range(len(rows))) if row.weight > 0]
    if len(features) < FEWEST_PAIRS:
        return None
    features.sort(key=lambda row: len(row.chosen.ids) + len(row.rejected.ids))
    chosen, rejected = _last_states(trainer, features)
    scale = (chosen - rejected).std() or 1.0
    weights, margins = (np.array([getattr(row, name) for row in features]) for name in ("weight", "margin"))
    centering = trainer.args.center_rewards_coefficient or 0.0
    solution = minimise_pair_loss(chosen / scale, rejected / scale, weights, margins, centering)
    return torch.tensor(solution[None] / scale, dtype=torch.float32)


def minimise_pair_loss(
    chosen: np.ndarray, rejected: np.ndarray, weights: np.ndarray, margins: np.ndarray, centering: float
) -> np.ndarray:
    """(H,) weights w of which the sum over pairs of weight times log(1 + exp(margin - w (c - r))) + centering
    (w (c + r))^2, plus |w|^2 / (2 RIDGE), is least; `chosen` and `rejected` are (N, H).
    """
    from scipy.optimize import minimize
    from scipy.special import expit

    apart, together = chosen - rejected, chosen + rejected

    def loss_and_slope(w: np.ndarray) -> tuple[float, np.ndarray]:
        lead, total = apart @ w - margins, together @ w
        loss = weights @ (np.logaddexp(0, -lead) + centering * total**2) + w @ w / (2 * RIDGE)
        slope = -(weights * expit(-lead)) @ apart + 2 * centering * (weights * total) @ together + w / RIDGE
        return float(loss), slope

    start = np.zeros(chosen.shape[1])
    result = minimize(loss_and_slope, start, jac=True, method="L-BFGS-B", options={"maxiter": ITERATIONS})
    return np.asarray(result.x)


def start_from_probe(trainer: Any, pairs: FeatureDataset) -> None:
    """Puts the probe's weights into the head."""
    weights = probe(trainer, pairs)
    if weights is None:
        return
    names = dict(trainer.model.named_parameters())
    with torch.no_grad():
        for name in trainer.trained:
            if ".score." in f".{name}" and names[name].shape == weights.shape:
                names[name].copy_(weights)


def _last_states(trainer: Any, rows: list[Any]) -> tuple[np.ndarray, np.ndarray]:
    """(N, H) states of the chosen and of the rejected sides, read where the score will be."""
    base = _unwrapped(trainer.model)
    head, base.score = base.score, torch.nn.Identity()
    size, sides = trainer.args.per_device_train_batch_size, []
    trainer.model.eval()
    try:
        with torch.no_grad(), trainer.accelerator.autocast():
            for start in range(0, len(rows), size):
                batch = trainer._prepare_inputs(trainer.collate(rows[start : start + size]))
                states = base(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits.float()
                sides.append([side.double().cpu().numpy() for side in states.chunk(2)])
    finally:
        base.score = head
    chosen, rejected = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    return chosen, rejected


def _unwrapped(module: Any) -> Any:
    return module.get_base_model() if isinstance(module, PeftModel) else module

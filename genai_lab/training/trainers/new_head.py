"""The new head of a reward model before the first step: a linear probe of what the base makes of the pairs.

A head of random weights moves the base's own weights first in directions that mean nothing (Kumar et al., 2022:
Fine-tuning can distort pretrained features and underperform out-of-distribution, section 3).
"""

from itertools import islice
from typing import Any

import numpy as np
import torch
from peft import PeftModel

from genai_lab.training.batches import FeatureDataset

MOST_PAIRS = 2000
STRENGTH = 0.03  # the inverse of the L2 penalty, in units of the differences' standard deviation
FEWEST_PAIRS = 16


def has_new_head(module: Any) -> bool:
    """Whether the module is a decoder whose base had no head, so that its `score` is random."""
    names = getattr(module.config, "architectures", None) or ()
    return hasattr(_unwrapped(module), "score") and not any("SequenceClassification" in name for name in names)


def probe(trainer: Any, pairs: FeatureDataset) -> torch.Tensor | None:
    """(1, H) weights of a logistic regression on differences of the base's last states, of at most MOST_PAIRS of the
    pairs that the run reads; None where there are too few.

    They are at right angles to the mean state, so that the mean score is 0, where the loss keeps it.
    """
    indices = [*dict.fromkeys(islice(pairs.indices, MOST_PAIRS))]
    positions = {index: position for position, index in reversed([*enumerate(islice(pairs.indices, MOST_PAIRS))])}
    rows = [pairs[positions[index]] for index in indices]
    rows = sorted((row for row in rows if row.weight > 0), key=lambda row: len(row.chosen.ids) + len(row.rejected.ids))
    if len(rows) < FEWEST_PAIRS:
        return None
    chosen, rejected = _last_states(trainer, rows)
    mean = (chosen + rejected).mean(0)
    differences = chosen - rejected
    differences -= np.outer(differences @ mean, mean) / max(1e-12, mean @ mean)
    weights = np.array([row.weight for row in rows])
    from sklearn.linear_model import LogisticRegression

    scale = differences.std() or 1.0
    signs = np.where(np.arange(len(rows)) % 2, 1, -1)
    model = LogisticRegression(C=STRENGTH, fit_intercept=False, max_iter=1000)
    model.fit(differences / scale * signs[:, None], signs, sample_weight=weights)
    return torch.tensor(model.coef_ / scale, dtype=torch.float32)


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
                sides.append([side.cpu().numpy() for side in states.chunk(2)])
    finally:
        base.score = head
    chosen, rejected = (np.concatenate(parts) for parts in zip(*sides, strict=True))
    return chosen, rejected


def _unwrapped(module: Any) -> Any:
    return module.get_base_model() if isinstance(module, PeftModel) else module

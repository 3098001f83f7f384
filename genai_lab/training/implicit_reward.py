"""The reward that a policy tuned by DPO has learned without a reward model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.models.reward_model import BATCH_TOKENS, as_messages, encode_prompt_and_completion, plain
from genai_lab.models.scorer import PromptLike
from genai_lab.training.artefacts import restored
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import load_module, load_tokenizer
from genai_lab.training.training_loop import best_of


class ImplicitReward:
    """beta log(p / p0) of a completion given its prompt, without unit (Rafailov et al., 2023, section 4).

    p is the best checkpoint of the run in `out`, p0 its base; both read what the run read, cut to its length.
    """

    def __init__(self, work: TrainingInputs, out: Path, device: str = "cpu") -> None:
        best = best_of(out)
        assert best is not None, "a run that has ended has a checkpoint"
        self._tokenizer, self._length = load_tokenizer(work.base), work.training.max_length
        self._beta = float(work.objective_settings.beta)
        self._policy = restored(work, best).to(device).eval()
        self._base = load_module(work.base, work.architecture, work.objective.head).to(device).eval()
        self._device = device
        self._asked = as_messages if work.chat else plain

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        """In order; batches of similar length, the same every time."""
        rows = [
            encode_prompt_and_completion(self._tokenizer, self._asked(prompt), completion, self._length)[:2]
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        found = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda place: (sum(map(len, rows[place])), place))
        while order:
            count = max(1, min(len(order), BATCH_TOKENS // sum(map(len, rows[order[-1]]))))
            places, order = order[-count:], order[:-count]
            own, before = (
                self._read(module, [rows[place] for place in places]) for module in (self._policy, self._base)
            )
            for place, a, b in zip(places, own, before, strict=True):
                found[place] = self._beta * (a - b)
        return found

    def _read(self, module: Any, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        """Log-probabilities in nats of the completions given their prompts."""
        import torch

        width = max(len(first) + len(last) for first, last in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask, asked = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, (first, last) in enumerate(rows):
            size = len(first) + len(last)
            ids[row, :size] = torch.tensor(first + last)
            mask[row, :size], asked[row, len(first) : size] = 1, 1
        with torch.inference_mode():
            out = module(input_ids=ids.to(self._device), attention_mask=mask.to(self._device), use_cache=False)
        logits = out.logits[:, -width:-1].float().cpu()  # a soft prompt stands before the others
        own = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
        return (own * asked[:, 1:]).sum(-1).tolist()

"""The reward that a policy has learned from preferences without a reward model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genai_lab.models.reward_model import BATCH_TOKENS, as_messages, encode_prompt_and_completion, plain
from genai_lab.models.scorer import PromptLike
from genai_lab.training.artefacts import load_checkpoint
from genai_lab.training.inputs import TrainingInputs
from genai_lab.training.loading import load_module, load_tokenizer
from genai_lab.training.training_loop import best_checkpoint

LOGITS = 2**25  # of a batch: 134 MB in float32


class ImplicitReward:
    """beta log(p / p0) of a completion given its prompt, without unit (Rafailov et al., 2023, section 4).

    p is the best checkpoint of the run in `out`, p0 its reference or else its base; both read what the run read, cut to
    its length.
    """

    def __init__(self, inputs: TrainingInputs, out: Path, device: str = "cpu") -> None:
        best = best_checkpoint(out)
        assert best is not None, "a run that has ended has a checkpoint"
        self._tokenizer, self._length = load_tokenizer(inputs.base), inputs.training.max_length
        self._beta = float(inputs.objective_settings.beta)
        self._policy = load_checkpoint(inputs, best).to(device).eval()
        folder = inputs.models.get("reference", inputs.base)
        self._reference = load_module(folder, inputs.architecture, inputs.objective.module_kind).to(device).eval()
        self._device = device
        self._as_read = as_messages if inputs.chat else plain

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        """In order; batches of similar length, the same every time."""
        rows = [
            encode_prompt_and_completion(self._tokenizer, self._as_read(prompt), completion, self._length)[:2]
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        scores = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda index: (sum(map(len, rows[index])), index))
        most = min(BATCH_TOKENS, LOGITS // self._reference.config.vocab_size)
        while order:
            count = max(1, min(len(order), most // sum(map(len, rows[order[-1]]))))
            batch, order = order[-count:], order[:-count]
            policy, reference = (
                self._log_probabilities(module, [rows[index] for index in batch])
                for module in (self._policy, self._reference)
            )
            for index, a, b in zip(batch, policy, reference, strict=True):
                scores[index] = self._beta * (a - b)
        return scores

    def _log_probabilities(self, module: Any, rows: Sequence[tuple[list[int], list[int]]]) -> list[float]:
        """In nats, of the completions given their prompts."""
        import torch

        width = max(len(prompt) + len(completion) for prompt, completion in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask, completed = torch.zeros_like(ids), torch.zeros_like(ids)
        for row, (prompt, completion) in enumerate(rows):
            size = len(prompt) + len(completion)
            ids[row, :size] = torch.tensor(prompt + completion)
            mask[row, :size], completed[row, len(prompt) : size] = 1, 1
        with torch.inference_mode():
            out = module(input_ids=ids.to(self._device), attention_mask=mask.to(self._device), use_cache=False)
        logits = out.logits[:, -width:-1].float().cpu()  # a soft prompt stands before the others
        tokens = logits.gather(-1, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)
        return (tokens * completed[:, 1:]).sum(-1).tolist()

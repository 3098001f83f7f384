"""What a policy learns from in one step: completions, what they earned, and what policy and reference made of them."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from genai_lab.alignment.records import RolloutBatch
from genai_lab.alignment.rollouts import Completion, Sampling, generator, network_of, sample
from genai_lab.rewards import RewardInput, RewardScorer, Scores
from genai_lab.training.examples import PromptExample
from genai_lab.training.generation import decode
from genai_lab.training.objective import EncodingContext
from genai_lab.training.policy_reading import PolicyReader, as_matrix, kl_at_tokens, mask_of

EVALUATION = -1  # the step by which completions of evaluations are drawn, so that they are the same ones each time


class Models(Protocol):
    """The policy, and its reference within a context."""

    @property
    def policy(self) -> Any: ...

    def reference(self) -> AbstractContextManager[Any]: ...


@dataclass(frozen=True)
class Experience:
    """B completions of at most T tokens. `prompts` and `completions` are ids; `mask` (B, T) marks real tokens;
    `old` and `reference` (B, T) are log-probabilities in nats under the policy that wrote them and under the reference,
    `kl` (B, T) the exact KL, `entropy` (B, T) in nats, `values` (B, T) of a value head; all 0 outside the mask.
    `score` (B,) is what was earned, less the penalty of a missing end; `groups` (B,) numbers the prompts.
    """

    examples: tuple[PromptExample, ...]
    completions: tuple[Completion, ...]
    texts: tuple[str, ...]
    scores: Scores
    score: torch.Tensor
    groups: torch.Tensor
    mask: torch.Tensor
    old: torch.Tensor
    reference: torch.Tensor
    kl: torch.Tensor
    entropy: torch.Tensor
    values: torch.Tensor | None
    seconds: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def prompts(self) -> list[list[int]]:
        return [example.ids for example in self.examples]

    @property
    def ids(self) -> list[list[int]]:
        return [completion.ids for completion in self.completions]

    @property
    def completion_kl(self) -> torch.Tensor:
        """(B,) the exact KL of each completion, in nats."""
        return self.kl.sum(-1)

    @property
    def drift(self) -> float:
        """How far the engine's log-probabilities lie from those of the training forward, at most, in nats."""
        drawn = torch.tensor([value for one in self.completions for value in one.log_probs])
        return float((drawn - self.old[self.mask].cpu()).abs().max())

    def record(self, step: int, seed: int, **tokens: torch.Tensor) -> RolloutBatch:
        """As it is kept; `tokens` are further figures (B, T) by name."""
        figures = {"log_probs": self.old, "reference": self.reference, "kl": self.kl, "entropy": self.entropy, **tokens}
        return RolloutBatch(
            step=step,
            seed=seed,
            prompts=tuple(example.prompt for example in self.examples),
            texts=self.texts,
            prompt_ids=tuple(self.prompts),
            ids=tuple(self.ids),
            ended=np.array([completion.ended for completion in self.completions]),
            rows=np.array([example.row for example in self.examples], dtype=np.int64),
            scores=self.score.double().cpu().numpy(),
            parts=self.scores.parts,
            labels=self.scores.labels,
            figures={name: values[self.mask].float().cpu().numpy() for name, values in figures.items()},
        )


class ExperienceMaker:
    """Lets the policy complete prompts and measures what came."""

    def __init__(
        self, models: Models, tokenizer: Any, context: EncodingContext, scorer: RewardScorer, ends: frozenset[int]
    ) -> None:
        self.models, self.tokenizer, self.context = models, tokenizer, context
        self.scorer, self.ends, self.settings = scorer, ends, context.settings
        self.reader = PolicyReader(context, self.settings.temperature)
        self.network = network_of(models.policy)

    @torch.no_grad()
    def make(self, prompts: Sequence[PromptExample], count: int, seed: int, step: int) -> Experience:
        """`count` completions of each prompt, those of a prompt beside one another."""
        began = time.perf_counter()
        examples = tuple(example for example in prompts for _ in range(count))
        completions = self._complete(examples, seed, step)
        written = time.perf_counter()
        texts = tuple(self._text(completion) for completion in completions)
        scores = self._rewards(examples, completions, texts)
        missing = np.array([not completion.ended for completion in completions])
        score = torch.tensor(scores.total - self.settings.missing_end_penalty * missing, dtype=torch.float32)
        scored = time.perf_counter()
        mask = mask_of([len(completion.ids) for completion in completions], self.context_device)
        tables = self._read(examples, completions, mask)
        groups = torch.arange(len(prompts)).repeat_interleave(count)
        seconds = {
            "writing": written - began, "rewarding": scored - written, "reading": time.perf_counter() - scored
        }  # fmt: skip
        return Experience(
            examples, tuple(completions), texts, scores, score.to(mask.device), groups.to(mask.device), mask, **tables,
            seconds=seconds,
        )  # fmt: skip

    @property
    def context_device(self) -> Any:
        return self.models.policy.device

    def parts(self, lengths: Sequence[int]) -> list[list[int]]:
        """Rows that are read together, those of similar length, at most `forward_batch_size` each."""
        order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
        size = self.settings.forward_batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _complete(self, examples: Sequence[PromptExample], seed: int, step: int) -> list[Completion]:
        generators = [generator(seed, step, row) for row in range(len(examples))]
        sampling = Sampling(self.settings.max_completion_length, self.settings.temperature)
        prompts = [example.ids for example in examples]
        return sample(self.network, prompts, generators, sampling, self.ends, self.context.decoder_start)

    def _text(self, completion: Completion) -> str:
        ids = completion.ids[:-1] if completion.ended else completion.ids
        return decode(self.tokenizer, ids)

    def _rewards(
        self, examples: Sequence[PromptExample], completions: Sequence[Completion], texts: Sequence[str]
    ) -> Scores:
        items = [
            RewardInput(example.asked, text, example.reference, len(completion.ids), completion.ended)
            for example, completion, text in zip(examples, completions, texts, strict=True)
        ]
        return self.scorer.score(items)

    def _read(
        self, examples: Sequence[PromptExample], completions: Sequence[Completion], mask: torch.Tensor
    ) -> dict[str, Any]:
        """The tables (B, T) of an `Experience`, from one reading by the policy and one by the reference."""
        policy = self.models.policy
        head = getattr(policy, "value_head", None)
        names = ("old", "reference", "kl", "entropy", *(("values",) if head is not None else ()))
        tables = {name: torch.zeros(mask.shape, device=mask.device) for name in names}
        lengths = [len(row.ids) + len(one.ids) for row, one in zip(examples, completions, strict=True)]
        for rows in self.parts(lengths):
            prompts, ids = [examples[row].ids for row in rows], [completions[row].ids for row in rows]
            mine = self.reader.read(policy, prompts, ids)
            with self.models.reference() as reference:
                theirs = self.reader.read(reference, prompts, ids)
            values = {
                "old": mine.log_probs(),
                "reference": theirs.log_probs(),
                "kl": kl_at_tokens(mine.logits, theirs.logits),
                "entropy": mine.entropy(),
            }
            if head is not None:
                values["values"] = head(mine.hidden)[:, 0]
            width = max(map(len, ids))
            for name, column in values.items():
                tables[name][rows, :width] = as_matrix(column, mask[rows, :width])
        return tables | ({} if head is not None else {"values": None})

"""Several completions of the held-out prompts by the base alone, rewarded as the run rewards: what a policy could have
reached is told from them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genai_lab.alignment.records import RolloutBatch
from genai_lab.alignment.rollouts import Completion, Sampling, generator, network_of, sample
from genai_lab.errors import LabError
from genai_lab.rewards import RewardInput, reward_roles
from genai_lab.rewards.scoring import Scores, load_scorer
from genai_lab.training.examples import PromptExample
from genai_lab.training.generation import decode
from genai_lab.training.loading import ends_of, load_module, load_tokenizer, start_of
from genai_lab.training.plan import Architecture
from genai_lab.training.policy_objective import PolicySettings

FIRST_STEP = 1_000_000  # the draws of base samples are of a step that no run reaches
AT_ONCE = 8  # prompts between two reports of progress


@dataclass(frozen=True)
class BaseModel:
    """Whose completions they are, and what rewards them: `models` are the folders of other models by their role."""

    folder: Path
    architecture: Architecture
    settings: PolicySettings
    models: Mapping[str, Path]
    chat: bool = False


def sample_base(
    base: BaseModel, held_out: RolloutBatch, count: int, progress: Callable[[int, int], None] | None = None
) -> RolloutBatch:
    """`count` completions of each prompt of `held_out`, those of a prompt beside one another, as one batch.

    Raises LabError for a reward that needs the rows' answers, which a batch does not hold.
    """
    parts = [part for part in base.settings.parts if not part.reward.needs_reference]
    refused = [part for part in base.settings.parts if part.reward.needs_reference]
    if any(part.learned for part in refused):
        raise LabError(
            f"The reward {refused[0].label} needs the answer of each row, so that samples of the base cannot be "
            "scored afterwards; the frontier is for rewards that read prompt and completion alone."
        )
    tokenizer = load_tokenizer(base.folder)
    module = load_module(base.folder, base.architecture).eval()
    network, ends, start = network_of(module), ends_of(module, tokenizer), start_of(module.config)
    roles = reward_roles(base.settings.parts)
    scorer = load_scorer(parts, {name: base.models[role] for role, name in roles.items() if role in base.models}, "cpu")
    sampling = Sampling(base.settings.max_completion_length, base.settings.temperature)
    prompts = [
        PromptExample(ids, prompt, "", base.chat, int(row))
        for ids, prompt, row in zip(held_out.prompt_ids, held_out.prompts, held_out.rows, strict=True)
    ]
    completions: list[Completion] = []
    for begin in range(0, len(prompts), AT_ONCE):
        if progress is not None:
            progress(begin, len(prompts))
        some = [prompt for prompt in prompts[begin : begin + AT_ONCE] for _ in range(count)]
        generators = [generator(held_out.seed, FIRST_STEP + begin, row) for row in range(len(some))]
        completions += sample(network, [prompt.ids for prompt in some], generators, sampling, ends, start)
    examples = [prompt for prompt in prompts for _ in range(count)]
    texts = tuple(decode(tokenizer, each.ids[:-1] if each.ended else each.ids) for each in completions)
    items = [
        RewardInput(example.asked, text, "", len(each.ids), each.ended)
        for example, text, each in zip(examples, texts, completions, strict=True)
    ]
    return _as_batch(held_out.seed, examples, completions, texts, scorer.score(items), base.settings)


def _as_batch(
    seed: int,
    examples: list[PromptExample],
    completions: list[Completion],
    texts: tuple[str, ...],
    scores: Scores,
    settings: PolicySettings,
) -> RolloutBatch:
    """The base is its own reference, so that the KL is 0."""
    ended = np.array([each.ended for each in completions])
    drawn = np.array([value for each in completions for value in each.log_probs], dtype=np.float32)
    return RolloutBatch(
        step=0,
        seed=seed,
        prompts=tuple(example.prompt for example in examples),
        texts=texts,
        prompt_ids=tuple(example.ids for example in examples),
        ids=tuple(each.ids for each in completions),
        ended=ended,
        rows=np.array([example.row for example in examples], dtype=np.int64),
        scores=scores.total - settings.missing_end_penalty * ~ended,
        parts=scores.parts,
        labels=scores.labels,
        figures={"log_probs": drawn, "reference": drawn, "kl": np.zeros_like(drawn)},
    )

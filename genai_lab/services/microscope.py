"""How the next token's distribution passes through the filters, from kept logits or one forward pass."""

from dataclasses import dataclass, replace
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Generator, Prompt, Request
from genai_lab.services import models
from genai_lab.services.generation import run
from genai_lab.services.logits_cache import kept_logits
from genai_lab.views import View

BARS = 24


@dataclass(frozen=True)
class StageBars(View):
    """One filter's outcome: `probabilities` go with the microscope's tokens, 0 for a removed one.

    `removed` counts the tokens that this filter took out of the whole vocabulary; `mass` is the probability that the
    model had given to those still in.
    """

    filter: str
    removed: int
    mass: float
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class Microscope(View):
    """`tokens` are the most probable ones of the model, with the chosen one among them; `chosen` is its place."""

    tokens: tuple[str, ...]
    ids: tuple[int, ...]
    stages: tuple[StageBars, ...]
    chosen: int | None
    vocabulary: int


def microscope(lab: LabContext, run_id: int, completion: int, step: int, sampling: Sampling) -> Microscope:
    """The distribution that token `step` of the run's completion was drawn from, under other settings.

    `step` equal to the number of tokens looks at the token that would come next. Kept logits are used where they are
    there, else one forward pass brings them back. Raises LabError where there is no such token.
    """
    view = run(lab, run_id)
    if not 0 <= completion < len(view.completions):
        raise LabError(f"Run {run_id} has {len(view.completions)} completions; there is no number {completion + 1}.")
    tokens = view.completions[completion].tokens
    if not 0 <= step <= len(tokens):
        raise LabError(f"The completion has {len(tokens)} tokens; there is no token {step + 1}.")
    ids = [token.id for token in tokens]
    if any(token_id is None for token_id in ids):
        raise LabError("This model runs at an endpoint that does not send its distribution; choose a local model.")
    before = tuple(token_id for token_id in ids[:step] if token_id is not None)
    models.show(lab, view.model).card.require_torch("the microscope of filters")
    generator = models.load(lab, view.model)
    prompt = replace(view.prompt, prefix=(*view.prompt.prefix, *before))
    logits = kept_logits(lab).find(run_id, completion, step)
    if logits is None:
        logits = _next_logits(lab, generator, view.model, prompt)
    return _bars(generator, logits, prompt, sampling, ids[step] if step < len(ids) else None)


def next_token(lab: LabContext, model: str, prompt: Prompt, sampling: Sampling) -> Microscope:
    """What would come after the prompt, without generating."""
    models.show(lab, model).card.require_torch("the microscope of filters")
    generator = models.load(lab, model)
    return _bars(generator, _next_logits(lab, generator, model, prompt), prompt, sampling, None)


def _next_logits(lab: LabContext, generator: Generator, model: str, prompt: Prompt) -> Any:
    key = (model, prompt.text, str(prompt.messages), prompt.mode, prompt.prefix)
    logits = kept_logits(lab).recall(key)
    if logits is None:
        next_token_only = Sampling(max_new_tokens=1, greedy=True, seed=0)
        [stream] = generator.submit([Request(prompt, next_token_only, return_logits=True)])
        for _ in stream:
            continue
        logits = stream.logits(0, 0)
        if logits is None:
            raise LabError("This model does not give its distribution; choose a local model for the microscope.")
        kept_logits(lab).remember(key, logits)
    return logits


def _bars(generator: Generator, logits: Any, prompt: Prompt, sampling: Sampling, chosen_id: int | None) -> Microscope:
    import numpy as np

    from genai_lab.decoding.numpy_processors import processor_stages

    stages = processor_stages(logits, generator.context_ids(prompt), sampling)
    first = np.exp(stages[0].log_probabilities)
    best = np.argsort(-first)[:BARS].tolist()
    for stage in stages[1:]:
        best += [i for i in np.argsort(-stage.log_probabilities)[:6].tolist() if i not in best]
    if chosen_id is not None and chosen_id not in best:
        best.append(chosen_id)
    bars = []
    for stage in stages:
        now = np.exp(stage.log_probabilities)
        remaining = np.isfinite(stage.log_probabilities)
        shares = tuple(float(now[i]) for i in best)
        bars.append(StageBars(stage.filter, stage.removed, float(first[remaining].sum()), shares))
    texts = tuple(generator.token_text(i) for i in best)
    return Microscope(
        texts, tuple(best), tuple(bars), best.index(chosen_id) if chosen_id is not None else None, len(first)
    )

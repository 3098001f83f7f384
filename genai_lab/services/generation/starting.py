"""Runs are started, alone or several together, and replayed."""

import time
import uuid
from collections.abc import Sequence

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import LONGEST_PROMPT, Prompt, Request, Stream
from genai_lab.services import models
from genai_lab.services.generation.live import Live, active_generations
from genai_lab.services.generation.records import GenerationSpec, RunView, begin_run, run
from genai_lab.services.logits_cache import kept_logits

TRACED = 8


def start(
    lab: LabContext,
    model: str,
    prompt: Prompt,
    sampling: Sampling,
    *,
    trace: int = TRACED,
    return_logits: bool = True,
    parent_run_id: int | None = None,
    dtype: str | None = None,
) -> Live:
    """Begins one run; its stream is already being computed. Raises LabError for whatever the user can mend.

    `dtype` is what the model is loaded in for it, in place of its own.
    """
    job = GenerationSpec(model, prompt, sampling)
    return start_many(lab, [job], trace=trace, return_logits=return_logits, parent_run_id=parent_run_id, dtype=dtype)[0]


def start_many(
    lab: LabContext,
    jobs: Sequence[GenerationSpec],
    *,
    trace: int = TRACED,
    return_logits: bool = False,
    parent_run_id: int | None = None,
    group: str | None = None,
    dtype: str | None = None,
) -> list[Live]:
    """Begins several runs together: jobs for one model share its batch. Nothing begins unless every job can."""
    group = group or (uuid.uuid4().hex[:12] if len(jobs) > 1 else None)
    jobs = [GenerationSpec(job.model, check_prompt(job.prompt), job.sampling.seeded()) for job in jobs]
    views = {name: models.show(lab, name) for name in dict.fromkeys(job.model for job in jobs)}
    generators = {name: models.load(lab, name, dtype) for name in views}
    streams: dict[int, Stream] = {}
    began = time.perf_counter()
    try:
        for name, generator in generators.items():
            indices = [index for index, job in enumerate(jobs) if job.model == name]
            requests = [Request(jobs[i].prompt, jobs[i].sampling, trace, return_logits) for i in indices]
            streams |= dict(zip(indices, generator.submit(requests), strict=True))
    except BaseException:
        for stream in streams.values():
            stream.cancel()
        raise
    with lab.database.session() as session:
        ids = [
            begin_run(
                lab, session, job, views[job.model].id, generators[job.model].card, trace, parent_run_id, group
            ).id
            for job in jobs
        ]
    lives = [Live(lab, ids[i], views[job.model].card, job.sampling, streams[i], began) for i, job in enumerate(jobs)]
    for live in lives:
        active_generations(lab)[live.run_id] = live
        if return_logits:
            kept_logits(lab).put(live.run_id, live._stream)
    return lives


def generate(lab: LabContext, model: str, prompt: Prompt, sampling: Sampling, *, trace: int = 0) -> RunView:
    """One run from beginning to end."""
    live = start(lab, model, prompt, sampling, trace=trace, return_logits=False)
    live.wait()
    return run(lab, live.run_id)


def replay(lab: LabContext, run_id: int, *, trace: int = TRACED) -> Live:
    """The same run again: the same settings, seed and dtype, so the same text wherever model and packages are the same.

    Raises LabError where the model cannot be loaded in that dtype here.
    """
    view = run(lab, run_id)
    try:
        return start(lab, view.model, view.prompt, view.sampling, trace=trace, parent_run_id=run_id, dtype=view.dtype)
    except LabError as problem:
        if view.dtype in (None, models.show(lab, view.model).card.loaded_dtype):
            raise
        raise LabError(
            f"Run {run_id} was computed in {view.dtype} on {view.device}, which cannot be repeated here: {problem} "
            "Open its settings in the playground to run them in the model's dtype of now."
        ) from problem


def prefix_text(lab: LabContext, view: RunView) -> str:
    """The beginning that the completion goes on from, as text; the two together are the whole."""
    return models.load(lab, view.model).prefix_text(view.prompt) if view.prompt.prefix else ""


def check_prompt(prompt: Prompt) -> Prompt:
    """Refuses what no model can read; everything else goes through unchanged."""
    texts = [prompt.text, *(str(message.get("content", "")) for message in prompt.messages)]
    if not any(texts) and not prompt.prefix:
        raise LabError("The prompt is empty; type something or choose an example.")
    if sum(map(len, texts)) > LONGEST_PROMPT:
        raise BadSetting(
            "prompt", f"{sum(map(len, texts)):,} characters long", f"at most {LONGEST_PROMPT:,} characters"
        )
    for text in texts:
        try:
            text.encode()
        except UnicodeEncodeError as problem:
            raise LabError(
                f"The prompt holds half a character (a lone surrogate) at position {problem.start}; delete it."
            ) from None
    return prompt

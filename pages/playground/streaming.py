"""From a run under way to what the page shows, at most 20 times a second; less often where many run at once."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Token, why_empty
from genai_lab.services import generation, models
from pages.components.forms import Updates
from pages.components.stats import NOTHING, seconds_text, size_text, stat_values
from pages.components.tokenmap import TokenStream, full_value

FIGURES = ("first token", "tokens/s", "prompt", "completion", "context used", "seed", "status")
RUN_OUTPUTS = ("tokens", "stats", "state", "note", "completion")  # what `streamed` and the others here update
PAUSE = 0.05
# Updates a second of all pages together; each takes milliseconds, which the running models would lack.
TOGETHER = 30
LOADING_PAUSE = 0.5
QUIET = 2.0  # seconds after which loading tells how long it has taken
NO_RUN: dict[str, Any] = {"run": None, "completion": 0, "index": 0}
NO_NOTE: dict[str, Any] = {"run": None, "text": "", "cut": False}
Update = Any


def stream_updates(lab: LabContext, live: generation.Live, before: str = "") -> Iterator[Updates]:
    """Updates for token map, figures, state, note and the choice of completion, while a run is under way."""
    stream, last = TokenStream(0, before), 0.0
    waiting: list[Token] = []
    state = {"run": live.run_id, "completion": 0, "index": 0}
    note = {**NO_NOTE, "run": live.run_id}
    yield {
        "tokens": stream.full(),
        "stats": stat_values(_first_figures(live)),
        "state": state,
        "note": note,
        "completion": gr.update(choices=[], value=None, visible=False),
    }
    for delta in live:
        if delta.completion == 0:
            waiting += delta.tokens
        now = time.monotonic()
        if waiting and now - last >= pause(lab):
            tokens = stream.push(waiting)
            waiting, last = [], now
            stats = stat_values(figures(live.stats, live.seed, "streaming"))
            # The same values again cost nothing; for each output left out Gradio would make a new component.
            yield {"tokens": tokens, "stats": stats, "state": state, "note": note, "completion": None}
    completions = live.completions
    yield {
        "tokens": full_value(completions[0].tokens if completions else (), before=before),
        "stats": stat_values(figures(live.stats, live.seed, live.status)),
        "state": state,
        "note": note_of(live.run_id, live.card.name, completions, live.status, live.sampling.max_new_tokens),
        "completion": _completion_choice(completions),
    }


def pause(lab: LabContext) -> float:
    """Seconds between two updates of one page."""
    return max(PAUSE, len(generation.active_generations(lab)) / TOGETHER)


def load_with_updates(lab: LabContext, model: str) -> Iterator[Updates]:
    """Reads the model into memory, with updates for a page that waits for it; raises what the loading raises."""
    view = models.show(lab, model)
    if view.status != "ready":
        return
    start = time.monotonic()
    for progress in models.load_watched(lab, model, LOADING_PAUSE):
        yield loading(model, view.card.disk_bytes, time.monotonic() - start, progress)


def loading(
    model: str, size: int | None = None, seconds: float = 0.0, progress: models.LoadProgress | None = None
) -> Updates:
    """What the page shows while a model is being read into memory."""
    stats = stat_values({**dict.fromkeys(FIGURES, NOTHING), "status": "loading"})
    share = f", {100 * progress.share:.0f} % read" if progress is not None else ""
    weights = f" ({size_text(size)} of weights)" if size else ""
    text = f"Loading {model}{weights} into memory, which happens once."
    if seconds >= QUIET:
        text = f"Loading {model}{weights} into memory: {seconds:.0f} s so far{share}. The answer then streams here."
    return {"tokens": {**full_value(()), "placeholder": text}, "stats": stats, "note": NO_NOTE}


def blank() -> Updates:
    """The updates where there is no run."""
    return {
        "tokens": full_value(()),
        "stats": stat_values(dict.fromkeys(FIGURES, NOTHING)),
        "state": NO_RUN,
        "note": NO_NOTE,
        "completion": gr.update(choices=[], value=None, visible=False),
    }


def run_updates(lab: LabContext, view: generation.RunView) -> Updates:
    """The updates for a recorded run."""
    tokens = view.completions[0].tokens if view.completions else ()
    status = view.error or view.status
    return {
        "tokens": full_value(tokens, before=generation.prefix_text(lab, view)),
        "stats": stat_values(figures(generation.stats_of(lab, view), view.seed, view.status)),
        "state": {"run": view.id, "completion": 0, "index": 0},
        "note": note_of(view.id, view.model, view.completions, status, view.sampling.max_new_tokens),
        "completion": _completion_choice(view.completions),
    }


def note_of(
    run_id: int, model: str, completions: Sequence[Completion], status: str, max_new_tokens: int
) -> dict[str, Any]:
    """The line below a completion: which run it is, how it ended, and why it is empty where it is."""
    ended = bool(completions) and status in ("finished", "cancelled")
    reason = completions[0].finish_reason if ended else ""
    text = f"Run {run_id}, {model}, {f'ended by {reason}' if ended else status}."
    if ended:
        text = " ".join([text, *notes_of(completions[0])])
    cut = reason == "length" and bool(completions[0].text.strip())
    if cut:
        length = completions[0].completion_tokens
        text += f" Cut at {length:,} tokens, its limit." if length == max_new_tokens else f" Cut at {length:,} tokens."
    return {"run": run_id, "text": text, "cut": cut}


def notes_of(completion: Completion) -> tuple[str, ...]:
    """What a reader should know of a completion; for an empty one recorded without a reason, why it is empty."""
    if completion.notes or completion.text.strip():
        return completion.notes
    return (why_empty(completion.finish_reason, completion.completion_tokens),)


def _completion_choice(completions: Sequence[Completion]) -> Update:
    """The choice of completion where there are several."""
    names = [str(i + 1) for i in range(len(completions))]
    return gr.update(choices=names, value="1", visible=True) if len(completions) > 1 else None


def figures(stats: generation.Stats, seed: int, status: str) -> dict[str, str]:
    used = stats.prompt_tokens + stats.completion_tokens
    share = f"{used:,} of {stats.context:,}" if stats.context and stats.prompt_tokens else NOTHING
    values = (
        seconds_text(stats.first_token_seconds),
        f"{stats.tokens_per_second:,.0f}" if stats.tokens_per_second else NOTHING,
        f"{stats.prompt_tokens:,} tokens" if stats.prompt_tokens else NOTHING,
        f"{stats.completion_tokens:,} tokens",
        share,
        str(seed),
        status,
    )
    return dict(zip(FIGURES, values, strict=True))


def _first_figures(live: generation.Live) -> dict[str, str]:
    return {**dict.fromkeys(FIGURES, NOTHING), "seed": str(live.seed), "status": "reading"}

"""From a run under way to what the page shows, at most 20 times a second; less often where many run at once."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.decoding import Completion, Token
from genai_lab.lab import Lab
from genai_lab.services import generation
from pages.components.stats import NOTHING, seconds_text, stat_values
from pages.components.tokenmap import TokenStream, full_value

FIGURES = ("first token", "tokens/s", "prompt", "completion", "context used", "seed", "status")
PAUSE = 0.05
# Updates a second of all pages together; each takes milliseconds, which the models under way would lack.
TOGETHER = 30
Update = Any


def streamed(lab: Lab, live: generation.Live, before: str = "") -> Iterator[Sequence[Update]]:
    """Updates for token map, figures, state, note and the choice of completion."""
    stream, last = TokenStream(0, before), 0.0
    waiting: list[Token] = []
    state = {"run": live.run_id, "completion": 0, "index": 0}
    yield stream.full(), stat_values(_waiting(live)), state, "", gr.update(choices=[], value=None, visible=False)
    for delta in live:
        if delta.completion == 0:
            waiting += delta.tokens
        now = time.monotonic()
        if waiting and now - last >= pause(lab):
            value = stream.push(waiting)
            waiting, last = [], now
            # The same values again cost nothing; for each gr.skip() Gradio would make a new component.
            yield value, stat_values(figures(live.stats, live.seed, "streaming")), state, "", None
    done = live.completions
    tokens = full_value(done[0].tokens if done else (), before=before)
    words = stat_values(figures(live.stats, live.seed, live.status))
    yield [tokens, words, state, *_told(live.run_id, live.card.name, done, live.status)]


def pause(lab: Lab) -> float:
    """Seconds between two updates of one page."""
    return max(PAUSE, len(lab.running) / TOGETHER)


def loading(model: str) -> list[Update]:
    """What stands there while a model is being read into memory."""
    words = stat_values({**dict.fromkeys(FIGURES, NOTHING), "status": "loading"})
    note = f"Loading {model} into memory; the first time takes a few seconds."
    return [full_value(()), words, gr.skip(), note, gr.skip()]


def blank() -> list[Update]:
    """The same updates where there is no run."""
    hollow = {"run": None, "completion": 0, "index": 0}
    nothing = stat_values(dict.fromkeys(FIGURES, NOTHING))
    return [full_value(()), nothing, hollow, "", gr.update(choices=[], value=None, visible=False)]


def shown_run(lab: Lab, view: generation.RunView) -> list[Update]:
    """The same updates for a recorded run."""
    first = view.completions[0] if view.completions else None
    tokens = full_value(first.tokens if first else (), before=generation.prefix_text(lab, view))
    words = stat_values(figures(generation.stats_of(lab, view), view.seed, view.status))
    state = {"run": view.id, "completion": 0, "index": 0}
    return [tokens, words, state, *_told(view.id, view.model, view.completions, view.error or view.status)]


def _told(run_id: int, model: str, done: Sequence[Completion], status: str) -> tuple[Update, Update]:
    """The note, and the choice of completion where there are several."""
    ending = f"ended by {done[0].finish_reason}" if done and status in ("finished", "cancelled") else status
    names = [str(i + 1) for i in range(len(done))]
    which = gr.update(choices=names, value="1", visible=True) if len(done) > 1 else None
    notes = dict.fromkeys(note for one in done for note in one.notes)
    return " ".join([f"Run {run_id}, {model}, {ending}.", *notes]), which


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


def _waiting(live: generation.Live) -> dict[str, str]:
    return {**dict.fromkeys(FIGURES, NOTHING), "seed": str(live.seed), "status": "reading"}

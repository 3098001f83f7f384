"""From a run under way to what the page shows, at most 20 times a second; less often where many run at once."""

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Token, why_empty
from genai_lab.services import generation, models
from pages.components.stats import NOTHING, seconds_text, size_text, stat_values
from pages.components.tokenmap import TokenStream, full_value

FIGURES = ("first token", "tokens/s", "prompt", "completion", "context used", "seed", "status")
PAUSE = 0.05
# Updates a second of all pages together; each takes milliseconds, which the models under way would lack.
TOGETHER = 30
LOADING_PAUSE = 0.5
QUIET = 2.0  # seconds after which loading tells how long it has taken
NO_NOTE: dict[str, Any] = {"run": None, "text": "", "cut": False}
Update = Any


def streamed(lab: LabContext, live: generation.Live, before: str = "") -> Iterator[Sequence[Update]]:
    """Updates for token map, figures, state, note and the choice of completion."""
    stream, last = TokenStream(0, before), 0.0
    waiting: list[Token] = []
    state = {"run": live.run_id, "completion": 0, "index": 0}
    note = {**NO_NOTE, "run": live.run_id}
    yield stream.full(), stat_values(_waiting(live)), state, note, gr.update(choices=[], value=None, visible=False)
    for delta in live:
        if delta.completion == 0:
            waiting += delta.tokens
        now = time.monotonic()
        if waiting and now - last >= pause(lab):
            value = stream.push(waiting)
            waiting, last = [], now
            # The same values again cost nothing; for each gr.skip() Gradio would make a new component.
            yield value, stat_values(figures(live.stats, live.seed, "streaming")), state, note, None
    done = live.completions
    tokens = full_value(done[0].tokens if done else (), before=before)
    words = stat_values(figures(live.stats, live.seed, live.status))
    told = note_of(live.run_id, live.card.name, done, live.status, live.sampling.max_new_tokens)
    yield [tokens, words, state, told, _choice(done)]


def pause(lab: LabContext) -> float:
    """Seconds between two updates of one page."""
    return max(PAUSE, len(generation.active_generations(lab)) / TOGETHER)


def load_and_tell(lab: LabContext, model: str) -> Iterator[Sequence[Update]]:
    """Reads the model into memory, with the updates of a page that waits for it; raises what the loading raises."""
    view = models.show(lab, model)
    if view.status != "ready":
        return
    problem: list[BaseException] = []

    def load() -> None:
        try:
            models.load(lab, model)
        except BaseException as error:
            problem.append(error)

    worker, began = threading.Thread(target=load, name="loading", daemon=True), time.monotonic()
    worker.start()
    while True:
        yield loading(model, view.card.disk_bytes, time.monotonic() - began)
        worker.join(LOADING_PAUSE)
        if not worker.is_alive():
            break
    if problem:
        raise problem[0]


def loading(model: str, size: int | None = None, seconds: float = 0.0) -> list[Update]:
    """What stands there while a model is being read into memory."""
    words = stat_values({**dict.fromkeys(FIGURES, NOTHING), "status": "loading"})
    weights = f" ({size_text(size)} of weights)" if size else ""
    text = f"Loading {model}{weights} into memory, which is done once."
    if seconds >= QUIET:
        text = f"Loading {model}{weights} into memory: {seconds:.0f} s so far. The answer streams when it is there."
    return [{**full_value(()), "placeholder": text}, words, gr.skip(), NO_NOTE, gr.skip()]


def blank() -> list[Update]:
    """The same updates where there is no run."""
    hollow = {"run": None, "completion": 0, "index": 0}
    nothing = stat_values(dict.fromkeys(FIGURES, NOTHING))
    return [full_value(()), nothing, hollow, NO_NOTE, gr.update(choices=[], value=None, visible=False)]


def shown_run(lab: LabContext, view: generation.RunView) -> list[Update]:
    """The same updates for a recorded run."""
    first = view.completions[0] if view.completions else None
    tokens = full_value(first.tokens if first else (), before=generation.prefix_text(lab, view))
    words = stat_values(figures(generation.stats_of(lab, view), view.seed, view.status))
    state = {"run": view.id, "completion": 0, "index": 0}
    status = view.error or view.status
    told = note_of(view.id, view.model, view.completions, status, view.sampling.max_new_tokens)
    return [tokens, words, state, told, _choice(view.completions)]


def note_of(run_id: int, model: str, done: Sequence[Completion], status: str, longest: int) -> dict[str, Any]:
    """The line below a completion: which run it is, how it ended, and why nothing stands there where nothing does."""
    ended = bool(done) and status in ("finished", "cancelled")
    reason = done[0].finish_reason if ended else ""
    text = f"Run {run_id}, {model}, {f'ended by {reason}' if ended else status}."
    if ended:
        text = " ".join([text, *notes_of(done[0])])
    cut = reason == "length" and bool(done[0].text.strip())
    if cut:
        words = f"{done[0].completion_tokens:,} tokens"
        text += f" Cut at {words}, its limit." if done[0].completion_tokens == longest else f" Cut at {words}."
    return {"run": run_id, "text": text, "cut": cut}


def notes_of(done: Completion) -> tuple[str, ...]:
    """What a reader should know of a completion; one recorded without a word on why it is empty gets it here."""
    return done.notes or (() if done.text.strip() else (why_empty(done.finish_reason, done.completion_tokens),))


def _choice(done: Sequence[Completion]) -> Update:
    """The choice of completion where there are several."""
    names = [str(i + 1) for i in range(len(done))]
    return gr.update(choices=names, value="1", visible=True) if len(done) > 1 else None


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

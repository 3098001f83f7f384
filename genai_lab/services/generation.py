"""Generations as runs: started, watched, recorded, replayed. What a page streams is what the database remembers."""

import logging
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Delta, Sampling
from genai_lab.errors import BadSetting, LabError
from genai_lab.models import LONGEST_PROMPT, Card, Prompt, Request, Stream
from genai_lab.provenance import Provenance, provenance
from genai_lab.services import models, packing
from genai_lab.services.logits_cache import kept_logits
from genai_lab.views import View
from storage import runs as queries
from storage.tables import Generation, Run, RunInput

log = logging.getLogger(__name__)
KIND = "generate"
TRACED = 8


@dataclass(frozen=True)
class Job(View):
    """One prompt for one model, as compare and grid send several of."""

    model: str
    prompt: Prompt
    sampling: Sampling


@dataclass(frozen=True)
class Stats(View):
    """Times in seconds; `context` is the model's room in tokens, None where it is not known."""

    first_token_seconds: float | None
    tokens_per_second: float | None
    prompt_tokens: int
    completion_tokens: int
    context: int | None
    seconds: float


@dataclass(frozen=True)
class RunView(View):
    """A recorded run, ready to be shown."""

    id: int
    model: str
    prompt: Prompt
    rendered: str
    sampling: Sampling
    seed: int
    status: str
    error: str | None
    created_at: datetime
    seconds: float | None
    code_revision: str
    dirty: bool
    packages: dict[str, str]
    device: str
    model_hash: str | None
    parent_run_id: int | None
    group: str | None
    completions: tuple[Completion, ...]

    @property
    def mode(self) -> str:
        return self.prompt.mode


class Live:
    """A run under way. Iterate for deltas; the record is saved when iteration ends, in whichever way it ends."""

    def __init__(
        self, lab: LabContext, run_id: int, card: Card, sampling: Sampling, stream: Stream, began: float
    ) -> None:
        self.run_id, self.card, self.sampling = run_id, card, sampling
        self._lab, self._stream = lab, stream
        self._began = began
        self._first: float | None = None
        self._tokens = 0
        self._saved = False
        self.status = "running"

    @property
    def seed(self) -> int:
        return self.sampling.seed or 0

    @property
    def rendered(self) -> str:
        return self._stream.rendered

    @property
    def completions(self) -> tuple[Completion, ...]:
        return self._stream.completions

    def __iter__(self) -> Iterator[Delta]:
        error: str | None = None
        try:
            for delta in self._stream:
                if self._first is None and (delta.tokens or delta.text):
                    self._first = time.perf_counter() - self._began
                self._tokens += len(delta.tokens)
                yield delta
        except GeneratorExit:
            self._stream.cancel()
            raise
        except LabError as problem:
            error = str(problem)
            raise
        except Exception as problem:
            log.exception("run %s", self.run_id)
            error = f"The model failed in a way that was not foreseen ({_first_words(problem)}); what came is kept."
            raise LabError(error) from problem
        finally:
            self._save(error)

    def cancel(self) -> None:
        self._stream.cancel()

    def wait(self) -> tuple[Completion, ...]:
        """Runs to the end without watching; raises what the stream raises."""
        for _ in self:
            continue
        return self.completions

    @property
    def stats(self) -> Stats:
        """Figures so far; once it has ended, those that the record gives too."""
        done = self.completions
        if self._saved and done:
            return _stats(done, self.card.context)
        seconds = time.perf_counter() - self._began
        prompt = max((c.prompt_tokens for c in done), default=0) or getattr(self._stream, "prompt_tokens", 0)
        rate = _rate(self._tokens, seconds, self._first)
        return Stats(self._first, rate, prompt, self._tokens, self.card.context, seconds)

    def _save(self, error: str | None) -> None:
        """Keeps the run as it ended; where a part of it cannot be kept, the run has failed and its text is kept."""
        if self._saved:
            return
        self._saved = True
        active_generations(self._lab).pop(self.run_id, None)
        done: tuple[Completion, ...] = ()
        try:
            done = _settled(self._stream)
            cancelled = any(c.finish_reason == "cancelled" for c in done)
            self.status = "failed" if error else "cancelled" if cancelled else "finished"
            self._record([packing.row_of(c, self.rendered) for c in done], error)
        except Exception as problem:
            log.exception("run %s cannot be kept whole", self.run_id)
            self.status = "failed"
            error = error or f"The run could not be saved whole ({_first_words(problem)}); its text is kept."
            self._record([packing.plain_row(c, self._rendered_or("")) for c in done], error)
            raise LabError(error) from problem

    def _record(self, rows: Sequence[Generation], error: str | None) -> None:
        seconds = time.perf_counter() - self._began
        with self._lab.database.session() as session:
            queries.finish_run(session, self.run_id, rows, status=self.status, error=error, seconds=seconds)

    def _rendered_or(self, otherwise: str) -> str:
        try:
            return self.rendered
        except Exception:
            return otherwise


def _first_words(problem: Exception) -> str:
    lines = str(getattr(problem, "orig", None) or problem).splitlines()
    return f"{type(problem).__name__}: {lines[0][:200]}" if lines else type(problem).__name__


def start(
    lab: LabContext,
    model: str,
    prompt: Prompt,
    sampling: Sampling,
    *,
    trace: int = TRACED,
    return_logits: bool = True,
    parent_run_id: int | None = None,
) -> Live:
    """Begins one run; its stream is already being computed. Raises LabError for whatever the user can mend."""
    job = Job(model, prompt, sampling)
    return start_many(lab, [job], trace=trace, return_logits=return_logits, parent_run_id=parent_run_id)[0]


def start_many(
    lab: LabContext,
    jobs: Sequence[Job],
    *,
    trace: int = TRACED,
    return_logits: bool = False,
    parent_run_id: int | None = None,
    group: str | None = None,
) -> list[Live]:
    """Begins several runs together: jobs for one model share its batch. Nothing begins unless every job can."""
    group = group or (uuid.uuid4().hex[:12] if len(jobs) > 1 else None)
    jobs = [Job(job.model, _checked(job.prompt), job.sampling.seeded()) for job in jobs]
    views = {name: models.show(lab, name) for name in dict.fromkeys(job.model for job in jobs)}
    generators = {name: models.load(lab, name) for name in views}
    streams: dict[int, Stream] = {}
    began = time.perf_counter()
    try:
        for name, generator in generators.items():
            own = [index for index, job in enumerate(jobs) if job.model == name]
            requests = [Request(jobs[i].prompt, jobs[i].sampling, trace, return_logits) for i in own]
            streams |= dict(zip(own, generator.submit(requests), strict=True))
    except BaseException:
        for stream in streams.values():
            stream.cancel()
        raise
    made = provenance()
    with lab.database.session() as session:
        ids = [
            queries.add_run(
                session,
                [RunInput(role="model", model_id=views[job.model].id, content_hash=views[job.model].card.content_hash)],
                **fields_of(lab, job, trace, parent_run_id, group, made),
            ).id
            for job in jobs
        ]
    lives = [Live(lab, ids[i], views[job.model].card, job.sampling, streams[i], began) for i, job in enumerate(jobs)]
    for live in lives:
        active_generations(lab)[live.run_id] = live
        if return_logits:
            kept_logits(lab).put(live.run_id, live._stream)
    return lives


class ActiveGenerations(dict[int, Live]):
    """The generations of a lab that have not ended, by the id of their run."""


def active_generations(lab: LabContext) -> ActiveGenerations:
    return lab.service(ActiveGenerations, ActiveGenerations)


def cancel(lab: LabContext, run_id: int | None) -> bool:
    """Stops the run if it is under way; whoever watches it gets its end within 0.3 s."""
    live = active_generations(lab).get(run_id) if run_id is not None else None
    if live is not None:
        live.cancel()
    return live is not None


def together(lives: Sequence[Live]) -> Iterator[tuple[int, Delta | LabError | None]]:
    """Watches several runs at once: (place, delta) as they come, (place, None) or (place, error) at each one's end."""
    arrived: SimpleQueue[tuple[int, Delta | LabError | None]] = SimpleQueue()

    def watch(place: int, live: Live) -> None:
        try:
            for delta in live:
                arrived.put((place, delta))
            arrived.put((place, None))
        except LabError as problem:
            arrived.put((place, problem))
        except Exception as problem:
            log.exception("watching a stream")
            arrived.put((place, LabError(f"The model failed ({_first_words(problem)}); try again.")))

    for place, live in enumerate(lives):
        threading.Thread(target=watch, args=(place, live), daemon=True).start()
    left = len(lives)
    try:
        while left:
            place, item = arrived.get()
            left -= not isinstance(item, Delta)
            yield place, item
    finally:
        if left:
            for live in lives:
                live.cancel()


def stats_of(lab: LabContext, view: RunView) -> Stats:
    """The figures of a recorded run, as they were measured."""
    return _stats(view.completions, models.show(lab, view.model).card.context)


def _stats(done: Sequence[Completion], context: int | None) -> Stats:
    first, seconds = _first_of(done), max((c.seconds for c in done), default=0.0)
    tokens = sum(c.completion_tokens for c in done)
    rate = _rate(tokens + sum(c.reasoning_tokens for c in done), seconds, first)
    prompt = max((c.prompt_tokens for c in done), default=0)
    return Stats(first, rate, prompt, tokens, context, seconds)


def _first_of(done: Sequence[Completion]) -> float | None:
    return min((c.first_token_seconds for c in done if c.first_token_seconds is not None), default=None)


def _rate(tokens: int, seconds: float, first: float | None) -> float | None:
    """Tokens a second after the first one; where all came at once, from the beginning."""
    drawing = seconds - (first or 0.0)
    if tokens > 1 and drawing > 0:
        return (tokens - 1) / drawing
    return tokens / seconds if tokens and seconds > 0 else None


def prefix_text(lab: LabContext, view: RunView) -> str:
    """The beginning that the completion goes on from, as text; the two together are the whole."""
    return models.load(lab, view.model).prefix_text(view.prompt) if view.prompt.prefix else ""


def generate(lab: LabContext, model: str, prompt: Prompt, sampling: Sampling, *, trace: int = 0) -> RunView:
    """One run from beginning to end."""
    live = start(lab, model, prompt, sampling, trace=trace, return_logits=False)
    live.wait()
    return run(lab, live.run_id)


def replay(lab: LabContext, run_id: int, *, trace: int = TRACED) -> Live:
    """The same run again: the same settings and seed, so the same text wherever model and packages are the same."""
    view = run(lab, run_id)
    return start(lab, view.model, view.prompt, view.sampling, trace=trace, parent_run_id=run_id)


def run(lab: LabContext, run_id: int) -> RunView:
    """The recorded run; raises LabError where there is none."""
    with lab.database.reading() as session:
        row = queries.run_with_all(session, run_id)
    if row is None or row.kind != KIND:
        raise LabError(f"There is no run {run_id}; the history lists those there are.")
    return view_of(row)


def group_runs(lab: LabContext, group: str) -> list[RunView]:
    """The runs that were begun together; raises LabError where there are none."""
    with lab.database.reading() as session:
        rows = queries.runs_of_group(session, group)
    if not rows:
        raise LabError(f"There is no comparison {group!r}; the history lists those there are.")
    return [view_of(row) for row in rows]


def view_of(row: Run) -> RunView:
    kept, made = row.settings, row.model_input
    prompt = Prompt(**{**kept["prompt"], **_tuples(kept["prompt"])})
    return RunView(
        id=row.id,
        model=made.model.name,
        prompt=prompt,
        rendered=row.generations[0].rendered_prompt if row.generations else prompt.text,
        sampling=Sampling.from_dict(kept["sampling"]),
        seed=row.seed,
        status=row.status,
        error=row.error,
        created_at=row.created_at,
        seconds=row.seconds,
        code_revision=row.code_revision,
        dirty=row.dirty,
        packages=row.packages,
        device=row.device,
        model_hash=made.content_hash,
        parent_run_id=row.parent_id,
        group=row.group,
        completions=tuple(map(packing.completion_of, row.generations)),
    )


def fields_of(
    lab: LabContext, job: Job, trace: int, parent: int | None, group: str | None, made: Provenance
) -> dict[str, Any]:
    """What a run of this job remembers of itself."""
    return {
        "kind": KIND,
        "group": group,
        "parent_id": parent,
        "settings": {"sampling": job.sampling.as_dict(), "prompt": asdict(job.prompt), "trace": trace},
        "seed": job.sampling.seed,
        "code_revision": made.revision,
        "dirty": made.dirty,
        "packages": made.packages,
        "device": lab.config.device,
        "status": "running",
    }


def _checked(prompt: Prompt) -> Prompt:
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


def _settled(stream: Stream, patience: float = 1.0) -> tuple[Completion, ...]:
    """The completions after a cancel, which takes a moment to reach the batch."""
    until = time.perf_counter() + patience
    while not stream.completions and time.perf_counter() < until:
        time.sleep(0.01)
    return stream.completions


def _tuples(prompt: dict[str, Any]) -> dict[str, Any]:
    return {"messages": tuple(prompt["messages"]), "prefix": tuple(prompt["prefix"])}

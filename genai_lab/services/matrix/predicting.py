"""One cell: rows into prompts, prompts into completions, by way of the response cache and the model's one batch."""

import hashlib
import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from genai_lab.context import LabContext
from genai_lab.data import Example
from genai_lab.decoding import NO_ANSWER, Completion, Sampling
from genai_lab.errors import LabError
from genai_lab.models import Card, Generator, Prompt, Request, Stream
from genai_lab.prompts import Fitted, bind, fill, fitting
from genai_lab.prompts.few_shot import ShotSettings
from genai_lab.services import datasets, models, prompting, templates
from genai_lab.views import View
from storage import evaluation as queries

IN_FLIGHT = 64
AT_ENDPOINT = 8
LABEL_LENGTH = 16
LOOKED_UP = 500
# Part of every key: counted up when the same request would be answered otherwise.
RENDERING = 1
# Settings enter a key under the names that they had first, so that what was remembered before a renaming still counts.
FIRST_NAMES = {
    "num_beams": "beams",
    "no_repeat_ngram_size": "no_repeat_ngram",
    "num_return_sequences": "num_completions",
}


@dataclass(frozen=True)
class Asked(View):
    """A row with its prompt; `key` is the hash of everything that decides the completion."""

    example: Example
    fitted: Fitted
    prompt: Prompt
    sampling: Sampling
    shots: tuple[int, ...]
    key: str


@dataclass(frozen=True)
class Answered(View):
    """A row's completion; `cached` says that it was remembered, `error` that it is no answer and why."""

    asked: Asked
    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cached: bool = False
    error: str | None = None


@dataclass(frozen=True)
class CellPlan(View):
    """What a cell needs, as its run's settings hold it."""

    model: str
    template: str
    dataset_version: int
    settings: dict[str, Any]
    seed: int

    @property
    def sampling(self) -> Sampling:
        return Sampling.from_dict(self.settings["sampling"])


def asked(lab: LabContext, cell: CellPlan, done: set[int] | None = None) -> list[Asked]:
    """The prompts of all rows that are not done yet, with as many of their shots as the context holds."""
    kept, template = cell.settings, templates.show(lab, cell.template).value
    view = models.show(lab, cell.model)
    rows = datasets.examples(
        lab, cell.dataset_version, split=kept["split"], count=kept["rows"], seed=kept["sample_seed"]
    )
    version = datasets.show(lab, cell.dataset_version)
    mode = prompting.mode_of(view.card, kept["rendering"])
    binding = bind(template, version.column_names, version.roles, datasets.labels(lab, version.id))
    columns = prompting.read_columns(template, binding)
    chosen: list[tuple[Example, ...]] = [() for _ in rows]
    if kept["k"]:
        pool = datasets.examples(lab, version.id, split=kept["shot_split"], count=prompting.POOL_ROWS, seed=cell.seed)
        if kept["fixed"]:
            pool = datasets.pick(lab, version.id, kept["fixed"])
        shots = ShotSettings(kept["selector"], kept["k"], cell.seed, tuple(kept["fixed"]))
        chosen = shots.choose(pool, rows, columns)
    sampling = prompting.stops(template, mode, kept["most_shots"], cell.sampling)
    filled = fill(template, rows, chosen, chat=mode == "chat", binding=binding)
    generator = models.load(lab, cell.model)
    room = prompting.room_of(view.card, sampling.max_new_tokens)
    count = _counting(generator) if kept["k"] or room is not None else lambda _: None
    made = []
    for number, (row, own, fitted) in enumerate(zip(rows, chosen, fitting(filled, count, room, mode), strict=True)):
        prompt = fitted.rendered.prompt(mode)
        drawn = sampling if sampling.greedy else replace(sampling, seed=(cell.seed * 1_000_003 + number) % (2**31 - 1))
        key = _key(view.card, prompt, drawn)
        made.append(Asked(row, fitted, prompt, drawn, tuple(one.key for one in own[: fitted.k]), key))
    return [one for one in made if done is None or one.example.key not in done]


def answers(lab: LabContext, cell: CellPlan, wanted: Sequence[Asked], use_cache: bool) -> Iterator[Answered]:
    """A completion for every prompt, remembered ones first, then the longest prompts first.

    Prompts of like length share the model's batch, where a short row does not wait for a long one; a prompt that
    cannot be answered comes back with its error and ends nothing else.
    """
    left = list(wanted)
    if use_cache:
        known = _remembered(lab, [one.key for one in wanted])
        left = []
        for one in wanted:
            if one.key in known:
                yield replace(known[one.key], asked=one)
            else:
                left.append(one)
    if not left:
        return
    generator = models.load(lab, cell.model)
    left.sort(key=lambda one: -(one.fitted.tokens or len(one.fitted.rendered.text)))
    sizes = _group_sizes(generator.card, cell.sampling)
    yield from _in_flight(generator, left, *sizes)


def _group_sizes(card: Card, sampling: Sampling) -> tuple[int, int]:
    """(rows in flight, rows sent at once): labels end together, so that they are sent together; long texts do not."""
    if card.family == "endpoint":
        return AT_ENDPOINT, 1
    return IN_FLIGHT, IN_FLIGHT if sampling.max_new_tokens <= LABEL_LENGTH else IN_FLIGHT // 4


def _in_flight(generator: Generator, left: Sequence[Asked], most: int, group: int) -> Iterator[Answered]:
    """Keeps `most` rows with the model; the next ones are sent before the answers so far are worked on."""
    waiting: deque[tuple[Asked, Stream | LabError, float]] = deque()
    ready: list[Answered] = []
    start = 0
    try:
        while waiting or ready or start < len(left):
            while start < len(left) and len(waiting) <= most - group:
                waiting.extend(_sent(generator, left[start : start + group]))
                start += group
            yield from ready
            ready = [_answer(*waiting.popleft()) for _ in range(min(group, len(waiting)))]
    finally:
        for _, stream, _ in waiting:
            if not isinstance(stream, LabError):
                stream.cancel()


def _sent(generator: Generator, part: Sequence[Asked]) -> Iterator[tuple[Asked, Stream | LabError, float]]:
    """The rows with their streams; one that the model refuses keeps no other from being sent."""
    began = time.perf_counter()
    try:
        streams = generator.submit([Request(one.prompt, one.sampling) for one in part])
        yield from zip(part, streams, itertools.repeat(began))
    except LabError as problem:
        if len(part) == 1:
            yield part[0], problem, began
            return
        for one in part:
            yield from _sent(generator, [one])


def _answer(one: Asked, stream: Stream | LabError, began: float) -> Answered:
    """The row's completion; one that broke off or was filtered keeps its text and says why it is no answer."""
    done: Completion | None = None
    error: str | None = None
    try:
        if isinstance(stream, LabError):
            raise stream
        for _ in stream:
            continue
        done = stream.completions[0]
        if done.finish_reason == "content filter":
            error = " ".join(done.notes) or "The server's content filter ended this answer."
    except Exception as problem:
        error = str(problem) if isinstance(problem, LabError) else f"The model failed ({type(problem).__name__})."
        done = None if isinstance(stream, LabError) else next(iter(stream.completions), None)
    if done is None:
        seconds = time.perf_counter() - began
        return Answered(one, "", "error", one.fitted.tokens or 0, 0, seconds, error=error)
    reason = "error" if error and done.finish_reason not in NO_ANSWER else done.finish_reason
    return Answered(one, done.text, reason, done.prompt_tokens, done.completion_tokens, done.seconds, error=error)


def _remembered(lab: LabContext, keys: Sequence[str]) -> dict[str, Answered]:
    found: dict[str, Answered] = {}
    with lab.database.reading() as session:
        for start in range(0, len(keys), LOOKED_UP):
            for row in queries.responses(session, keys[start : start + LOOKED_UP]):
                found[row.key] = Answered(
                    None,  # type: ignore[arg-type]
                    row.text,
                    row.finish_reason,
                    row.prompt_tokens,
                    row.completion_tokens,
                    row.seconds,
                    cached=True,
                )
    return found


def _key(card: Card, prompt: Prompt, sampling: Sampling) -> str:
    """The hash of the model's content, the prompt and the settings; a model without a content is named instead."""
    settings = {FIRST_NAMES.get(name, name): value for name, value in sampling.as_dict().items()}
    if sampling.greedy:
        for name in ("seed", "temperature", "top_k", "top_p", "min_p", "typical_p"):
            settings.pop(name)
    who = card.content_hash or f"{card.source.backend} {card.source.location} {card.source.remote_name}"
    parts = [RENDERING, who, prompt.mode, prompt.text, list(prompt.messages), settings]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _counting(generator: Generator) -> Callable[[Prompt], int | None]:
    return generator.count_tokens

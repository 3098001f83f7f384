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
from genai_lab.services import datasets, embedding, models, prompting, templates
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
class RowPrompt(View):
    """One completion to be made: a row with its prompt; `key` is the hash of everything that decides the text.

    `index` is the row's in the run, `sample` the completion's in the row.
    """

    example: Example
    index: int
    sample: int
    fitted: Fitted
    prompt: Prompt
    sampling: Sampling
    shots: tuple[int, ...]
    key: str

    @property
    def id(self) -> tuple[int, int]:
        return self.example.key, self.sample


@dataclass(frozen=True)
class RowCompletion(View):
    """A completion of a row; `cached` says that it was remembered, `error` that it is no answer and why."""

    row: RowPrompt
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
    dtype: str | None = None

    @property
    def sampling(self) -> Sampling:
        return Sampling.from_dict(self.settings["sampling"])

    @property
    def completions_per_row(self) -> int:
        return int(self.settings.get("completions_per_row", 1))


def row_prompts(lab: LabContext, cell: CellPlan) -> list[RowPrompt]:
    """The prompts of all rows, once for each completion, with as many of their shots as the context holds."""
    settings, template = cell.settings, templates.show(lab, cell.template).value
    view = models.show(lab, cell.model)
    rows = datasets.examples(
        lab, cell.dataset_version, split=settings["split"], count=settings["rows"], seed=settings["sample_seed"]
    )
    version = datasets.show(lab, cell.dataset_version)
    mode = prompting.mode_of(view.card, settings["rendering"])
    binding = bind(template, version.column_names, version.roles, datasets.labels(lab, version.id))
    shots = _shots(lab, cell, rows, prompting.read_columns(template, binding))
    sampling = prompting.stops(template, mode, settings["most_shots"], cell.sampling)
    sampling = replace(sampling, num_return_sequences=1)
    filled = fill(template, rows, shots, chat=mode == "chat", binding=binding)
    generator = models.load(lab, cell.model, cell.dtype)
    room = prompting.room_of(view.card, sampling.max_new_tokens)
    count = _counting(generator) if settings["k"] or room is not None else lambda _: None
    prompts = []
    for index, (row, examples, fitted) in enumerate(zip(rows, shots, fitting(filled, count, room, mode), strict=True)):
        prompt = fitted.rendered.prompt(mode)
        used = tuple(example.key for example in examples[: fitted.k])
        for sample in range(cell.completions_per_row):
            seeded = sampling if sampling.greedy else replace(sampling, seed=seed_of(cell.seed, index, sample))
            key = _key(generator.card, prompt, seeded)
            prompts.append(RowPrompt(row, index, sample, fitted, prompt, seeded, used, key))
    return prompts


def seed_of(seed: int, index: int, sample: int) -> int:
    """The seed of one completion: different for each row of a run and each completion of a row."""
    return (seed * 1_000_003 + index + sample * 15_485_863) % (2**31 - 1)


def _shots(
    lab: LabContext, cell: CellPlan, rows: Sequence[Example], columns: Sequence[str]
) -> list[tuple[Example, ...]]:
    settings = cell.settings
    if not settings["k"]:
        return [() for _ in rows]
    if settings["fixed"]:
        pool = datasets.pick(lab, cell.dataset_version, settings["fixed"])
    else:
        pool = datasets.examples(
            lab, cell.dataset_version, split=settings["shot_split"], count=prompting.POOL_ROWS, seed=cell.seed
        )
    shots = ShotSettings(
        settings["selector"], settings["k"], cell.seed, tuple(settings["fixed"]), settings.get("embedder", ""),
        settings.get("diversity", 0.0),
    )  # fmt: skip
    return embedding.choose_shots(lab, shots, pool, rows, columns)


def completions(
    lab: LabContext, cell: CellPlan, prompts: Sequence[RowPrompt], use_cache: bool
) -> Iterator[RowCompletion]:
    """A completion for every prompt, remembered ones first, then the longest prompts first.

    Prompts of like length share the model's batch, where a short row does not wait for a long one; a prompt that
    cannot be answered comes back with its error and ends nothing else.
    """
    remaining = list(prompts)
    if use_cache:
        cached = _cached(lab, prompts)
        yield from cached.values()
        remaining = [row for row in prompts if row.id not in cached]
    if not remaining:
        return
    generator = models.load(lab, cell.model, cell.dtype)
    remaining.sort(key=lambda row: -(row.fitted.tokens or len(row.fitted.rendered.text)))
    yield from _in_flight(generator, remaining, *_group_sizes(generator.card, cell.sampling))


def _group_sizes(card: Card, sampling: Sampling) -> tuple[int, int]:
    """(rows in flight, rows sent at once): labels end together, so that they are sent together; long texts do not."""
    if card.family == "endpoint":
        return AT_ENDPOINT, 1
    return IN_FLIGHT, IN_FLIGHT if sampling.max_new_tokens <= LABEL_LENGTH else IN_FLIGHT // 4


def _in_flight(
    generator: Generator, prompts: Sequence[RowPrompt], capacity: int, group_size: int
) -> Iterator[RowCompletion]:
    """Keeps `capacity` rows with the model; the next ones are sent before the answers so far are worked on."""
    waiting: deque[tuple[RowPrompt, Stream | LabError, float]] = deque()
    ready: list[RowCompletion] = []
    start = 0
    try:
        while waiting or ready or start < len(prompts):
            while start < len(prompts) and len(waiting) <= capacity - group_size:
                waiting.extend(_submit(generator, prompts[start : start + group_size]))
                start += group_size
            yield from ready
            ready = [_completion(*waiting.popleft()) for _ in range(min(group_size, len(waiting)))]
    finally:
        for _, stream, _ in waiting:
            if not isinstance(stream, LabError):
                stream.cancel()


def _submit(generator: Generator, group: Sequence[RowPrompt]) -> Iterator[tuple[RowPrompt, Stream | LabError, float]]:
    """The rows with their streams; one that the model refuses keeps no other from being sent."""
    start = time.perf_counter()
    try:
        streams = generator.submit([Request(row.prompt, row.sampling) for row in group])
        yield from zip(group, streams, itertools.repeat(start))
    except LabError as problem:
        if len(group) == 1:
            yield group[0], problem, start
            return
        for row in group:
            yield from _submit(generator, [row])


def _completion(row: RowPrompt, stream: Stream | LabError, start: float) -> RowCompletion:
    """The row's completion; one that broke off or was filtered keeps its text and says why it is no answer."""
    completion: Completion | None = None
    error: str | None = None
    try:
        if isinstance(stream, LabError):
            raise stream
        for _ in stream:
            continue
        completion = stream.completions[0]
        if completion.finish_reason == "content filter":
            error = " ".join(completion.notes) or "The server's content filter ended this answer."
    except Exception as problem:
        error = str(problem) if isinstance(problem, LabError) else f"The model failed ({type(problem).__name__})."
        completion = None if isinstance(stream, LabError) else next(iter(stream.completions), None)
    if completion is None:
        seconds = time.perf_counter() - start
        return RowCompletion(row, "", "error", row.fitted.tokens or 0, 0, seconds, error=error)
    reason = "error" if error and completion.finish_reason not in NO_ANSWER else completion.finish_reason
    return RowCompletion(
        row,
        completion.text,
        reason,
        completion.prompt_tokens,
        completion.completion_tokens,
        completion.seconds,
        error=error,
    )


def _cached(lab: LabContext, prompts: Sequence[RowPrompt]) -> dict[tuple[int, int], RowCompletion]:
    """The completions that are remembered, by row and sample in the order of the prompts."""
    keys = list(dict.fromkeys(row.key for row in prompts))
    with lab.database.reading() as session:
        responses = {
            response.key: response
            for start in range(0, len(keys), LOOKED_UP)
            for response in queries.responses(session, keys[start : start + LOOKED_UP])
        }
    return {
        row.id: RowCompletion(
            row,
            response.text,
            response.finish_reason,
            response.prompt_tokens,
            response.completion_tokens,
            response.seconds,
            cached=True,
        )
        for row in prompts
        if (response := responses.get(row.key)) is not None
    }


def _key(card: Card, prompt: Prompt, sampling: Sampling) -> str:
    """The hash of the model's content, the prompt and the settings; a model without a content is named instead."""
    settings = {FIRST_NAMES.get(name, name): value for name, value in sampling.as_dict().items()}
    if sampling.greedy:
        for name in ("seed", "temperature", "top_k", "top_p", "min_p", "typical_p"):
            settings.pop(name)
    model = card.content_hash or f"{card.source.backend} {card.source.location} {card.source.remote_name}"
    parts = [RENDERING, model, prompt.mode, prompt.text, list(prompt.messages), settings]
    # Keys of before dtypes differed by model stay as they are for float32.
    if card.has_weights and card.loaded_dtype not in (None, "float32"):
        parts.append(card.loaded_dtype)
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _counting(generator: Generator) -> Callable[[Prompt], int | None]:
    return generator.count_tokens

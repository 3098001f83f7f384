"""How fast a model is here, by dtype and device: measured in seconds on its own engine, and which is then taken.

Between float dtypes the faster one is taken, float32 unless another is clearly faster, because a replay in float32
gives the same text. int8 and int4 change what a model says (KL 0.006 and 0.055 from float32 on SmolLM2-135M), so that
they are measured and offered, never taken by themselves.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from genai_lab.decoding import PACKED_UP_TO, TRACED_UP_TO, Completion, Sampling
from genai_lab.errors import LabError
from genai_lab.models.card import Card, Mode
from genai_lab.models.request import Generator, Prompt, Request
from genai_lab.models.sizing import FLOAT_DTYPES, GENERATING, PACKED_DTYPES

# Parameters up to which models share one measurement; the first two bounds are where the engine changes its way.
CLASSES = (
    (PACKED_UP_TO, "up to 30M"), (TRACED_UP_TO, "up to 200M"), (1_000_000_000, "up to 1B"), (4_000_000_000, "up to 4B"),
)  # fmt: skip
LARGEST = "above 4B"
# Tokens that are read and written by the text whose time compares two dtypes, and how often each is timed.
READ, WRITTEN, ROUNDS = 256, 48, 3
# How many times as fast another dtype must be to be taken in place of float32.
CLEARLY = 1.2
WARM_UP = 4
WORDS = [
    "the",
    "river",
    "ran",
    "past",
    "old",
    "houses",
    "and",
    "a",
    "small",
    "garden",
    "where",
    "nobody",
    "had",
    "ever",
    "seen",
    "so",
    "many",
    "birds",
    "before",
]


@runtime_checkable
class Prepared(Protocol):
    """A generator that makes between texts what makes it faster, and at once when it is asked to."""

    def prepare(self) -> None: ...


@dataclass(frozen=True)
class Speed:
    """Tokens a second of one row, read (prefill) and written (decode), and the bytes that the model took."""

    dtype: str
    device: str
    read: float
    written: float
    memory_bytes: int | None = None

    @property
    def seconds(self) -> float:
        """Of a text of `READ` tokens that is answered with `WRITTEN`."""
        return READ / self.read + WRITTEN / self.written


def class_of(card: Card) -> str:
    """The size class of a model, within which one measurement chooses for all: "decoder-only, up to 200M"."""
    size = next((name for bound, name in CLASSES if (card.parameters or 0) <= bound), LARGEST)
    return f"{card.family}, {size}"


def measurable(card: Card) -> bool:
    """Whether the model's dtype can be chosen here: it generates, torch computes it, and it stands on its own."""
    return card.has_weights and card.family in GENERATING and not card.is_adapter


def dtypes_on(device: str) -> tuple[str, ...]:
    """The dtypes that a model can be loaded in on a device."""
    return ("float32", "bfloat16", *PACKED_DTYPES) if device == "cpu" else FLOAT_DTYPES


def candidates(devices: Sequence[str], packed: bool) -> list[tuple[str, str]]:
    """(dtype, device) of what is to be measured; packed dtypes only where they are asked for."""
    return [
        (dtype, device) for device in devices for dtype in dtypes_on(device) if packed or dtype not in PACKED_DTYPES
    ]


def fastest(speeds: Iterable[Speed]) -> Speed | None:
    """The float dtype and device that are taken by themselves; None where nothing was measured."""
    floats = sorted((speed for speed in speeds if speed.dtype in FLOAT_DTYPES), key=lambda speed: speed.seconds)
    exact = next((speed for speed in floats if speed.dtype == "float32"), None)
    if not floats or exact is None:
        return floats[0] if floats else None
    return floats[0] if exact.seconds >= CLEARLY * floats[0].seconds else exact


def measure_text(generator: Generator, number: int, new_tokens: int = WRITTEN) -> Completion:
    """The completion of a text of its own for each `number`, of about `READ` tokens, with the times that it took.

    Raises LabError for what the model cannot do.
    """
    card = generator.card
    room = min(READ, (card.context or 2 * READ) // 2)
    sampling = Sampling(max_new_tokens=min(new_tokens, max(2, room)), temperature=2.0, seed=number)
    [stream] = generator.submit([Request(_prompt(generator, room, number), sampling)])
    for _ in stream:
        continue
    return stream.completions[0]


def speed_of(generator: Generator, completions: Iterable[Completion], memory_bytes: int | None = None) -> Speed | None:
    """The best of several rounds, which others on this machine have held up least; None where no text was long enough.

    Times are the engine's own: a first token has been read for, the others are written.
    """
    read, written = 0.0, 0.0
    for completion in completions:
        tokens, first = completion.completion_tokens, completion.first_token_seconds
        if first and completion.prompt_tokens:
            read = max(read, completion.prompt_tokens / first)
        if first is not None and tokens > 1 and completion.seconds > first:
            written = max(written, (tokens - 1) / (completion.seconds - first))
    card = generator.card
    if not read or not written:
        return None
    return Speed(card.loaded_dtype or "", card.device or "", read, written, memory_bytes)


def measure_all(
    generators: Sequence[Callable[[], Generator]], together: bool, tell: Callable[[Card], None]
) -> list[tuple[Generator, list[Completion]] | LabError]:
    """Rounds of every generator, by turns where all of them fit into memory `together`; what cannot be loaded or
    computed is its error. `tell` hears of each one once it is loaded.
    """
    results: list[tuple[Generator, list[Completion]] | LabError | None] = [None] * len(generators)
    turns = [(n, k) for n in range(ROUNDS) for k in range(len(generators))]
    for number, index in turns if together else sorted(turns, key=lambda turn: turn[::-1]):
        result = results[index]
        if isinstance(result, LabError):
            continue
        try:
            if result is None:
                generator = generators[index]()
                tell(generator.card)
                measure_text(generator, ROUNDS, WARM_UP)
                if isinstance(generator, Prepared):
                    generator.prepare()
                result = results[index] = generator, []
            result[1].append(measure_text(result[0], number))
        except LabError as problem:
            results[index] = problem
    return [result for result in results if result is not None]


def _prompt(generator: Generator, room: int, number: int) -> Prompt:
    """A text of about `room` tokens that begins differently for each number, so that no kept prefix is met."""
    mode: Mode = "text-to-text" if generator.card.family == "encoder-decoder" else "completion"
    words = [WORDS[(number + place) % len(WORDS)] for place in range(room)]
    tokens = generator.count_tokens(Prompt(" ".join(words), mode=mode)) or room
    return Prompt(" ".join(words[: max(1, room * room // max(tokens, 1))]), mode=mode)

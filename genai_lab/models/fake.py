"""A model that is made up: the same request gives the same text in milliseconds, without torch. For tests and examples.

It keeps the whole contract of a real one: tokens that make up the text again, probabilities before and after every
logits processor, logits, stop strings, several completions, continuing from tokens, cancelling. It is not listed in the
catalogue; whoever names it (`fake`, or `fake-KIND` for a kind below) gets it. A script decides what it answers:
`fake:{"answers": {"capital of France": "Paris"}}`.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from genai_lab.errors import BadSetting, LabError, ModelError, PromptTooLong
from genai_lab.models import BACKENDS, Backend, Card, Family, Generator, Options, Prompt, Request, Role, Source, Stream
from genai_lab.models.fake_stream import FakeStream, Script, rendered
from genai_lab.models.fake_tokens import VOCABULARY, token_text, tokenize
from genai_lab.models.scorer import LogProbability, PromptLike, Scorer, Vectors
from genai_lab.settings import check_settings, read_settings, setting

DIMENSIONS = 256
FAMILIES: dict[str, tuple[Role, Family, bool]] = {
    "chat": ("generate", "decoder-only", True),
    "completion": ("generate", "decoder-only", False),
    "seq2seq": ("generate", "encoder-decoder", False),
    "classifier": ("classify", "classifier", False),
    "reward": ("reward", "classifier", False),
    "embedder": ("embed", "encoder", False),
}


@dataclass(frozen=True)
class FakeScript:
    """How a fake model answers; the same as JSON in the model's location."""

    kind: str = setting("chat", "What the model can do.", choices=tuple(FAMILIES))
    answers: dict[str, Any] = setting(
        factory=dict, help="A text that the prompt contains, and the answer to it; the first that fits counts."
    )
    pause: float = setting(0.0, "Seconds before each token.", 0.0, 60.0)
    context: int = setting(1024, "Tokens that fit.", 8, 1_000_000, unit="tokens")
    failure: str = setting("", "A sentence that every stream ends with as an error, after three tokens.")

    def __post_init__(self) -> None:
        check_settings(self)

    def answer(self, text: str) -> str | None:
        """The scripted answer to a prompt, None where there is none."""
        return next((str(answer) for part, answer in self.answers.items() if part in text), None)


class Fake(Backend):
    name = "fake"
    title = "Fake model"
    hidden = True
    has_files = False
    precedence = 5

    def detect(self, text: str, options: Options) -> Source | None:
        """`fake`, `fake-KIND`, or `fake:` and a script as JSON."""
        kind = text.removeprefix("fake-")
        return Source(self.name, text) if text == "fake" or kind in FAMILIES or text.startswith("fake:") else None

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        script = script_of(source.location)
        role, family, chat = FAMILIES[script.kind]
        digest = hashlib.sha256(source.location.encode()).hexdigest()
        return Card(
            name,
            source,
            role,
            family,
            "Fake",
            parameters=len(VOCABULARY),
            memory_bytes=0,
            context=script.context,
            content_hash=digest,
            chat=chat,
            about="made up, for tests and examples",
        )

    def load(self, card: Card, options: Options, base: Generator | None = None) -> Generator:
        return FakeGenerator(card)

    def load_scorer(self, card: Card, options: Options) -> Scorer:
        return FakeScorer(card)

    def pretrained_arguments(self, card: Card) -> tuple[str, str | None] | None:
        return None


def script_of(location: str) -> FakeScript:
    """The script that a location names; raises ModelError for one that cannot be read."""
    _, colon, text = location.partition(":")
    if not colon:
        kind = location.removeprefix("fake").removeprefix("-") or "chat"
        return FakeScript(kind if kind in FAMILIES else "chat")
    try:
        return read_settings(FakeScript, json.loads(text), "the script of a fake model")
    except ValueError as problem:
        raise ModelError(f"The script of a fake model is not valid JSON ({problem}).") from None


def fake_card(location: str = "fake") -> Card:
    return Fake().inspect(Source("fake", location), location, Options())


class FakeGenerator:
    """Answers as its script says; what is not scripted follows from prompt and seed."""

    def __init__(self, card: Card | None = None) -> None:
        self.card = card or fake_card()
        self.script: Script = script_of(self.card.source.location)

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        for request in requests:
            self._check(request)
        return [FakeStream(request, self) for request in requests]

    def count_tokens(self, prompt: Prompt) -> int:
        return len(tokenize(rendered(prompt))) + len(prompt.prefix)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return [(token, token_text(token)) for token in tokenize(text)]

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        read = () if self.card.family == "encoder-decoder" else tokenize(rendered(prompt))
        return (*read, *prompt.prefix)

    def prefix_text(self, prompt: Prompt) -> str:
        return "".join(map(token_text, prompt.prefix))

    def token_text(self, token_id: int) -> str:
        return token_text(token_id)

    def close(self) -> None:
        """There is nothing to free."""

    def _check(self, request: Request) -> None:
        sampling = request.sampling
        if sampling.num_beams > 1 and sampling.num_return_sequences > sampling.num_beams:
            raise BadSetting(
                "num_return_sequences", sampling.num_return_sequences, f"at most the {sampling.num_beams} beams"
            )
        size = self.count_tokens(request.prompt)
        if not size:
            raise LabError("The prompt is empty; type something or choose an example.")
        if size >= self.script.context:
            raise PromptTooLong(size, self.script.context)


class FakeScorer(Scorer):
    """Scores that follow from the text: the same text, the same score. A scripted answer is the score itself."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self.script = script_of(card.source.location)

    def scores(self, texts: Sequence[str], label: str = "") -> list[float | None]:
        if self.card.role != "classify":
            return super().scores(texts, label)
        return [self._number(f"{label}|{text}", text) for text in texts]

    def log_probabilities(self, texts: Sequence[str], inputs: Sequence[str] = ()) -> list[LogProbability]:
        if self.card.role != "generate":
            return super().log_probabilities(texts, inputs)
        sizes = [len(tokenize(text)) for text in texts]
        return [
            LogProbability(-size * (0.5 + self._number(text, "")), size)
            for text, size in zip(texts, sizes, strict=True)
        ]

    def rewards(self, prompts: Sequence[PromptLike], completions: Sequence[str]) -> list[float]:
        if self.card.role != "reward":
            return super().rewards(prompts, completions)
        return [self._number(f"{prompt}|{text}", text) for prompt, text in zip(prompts, completions, strict=True)]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Words counted at 256 places that follow from the words, normalised: texts that share words are near."""
        if self.card.role != "embed":
            return super().embed(texts)
        vectors = np.zeros((len(texts), DIMENSIONS), np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for word in text.lower().split() or [""]:
                vector[crc32(word.encode("utf-8", "replace")) % DIMENSIONS] += 1.0
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    @property
    def vector_signature(self) -> str:
        return "counted words" if self.card.role == "embed" else ""

    def _number(self, key: str, text: str) -> float:
        """From 0 to 1."""
        scripted = self.script.answer(text) if text else None
        return float(scripted) if scripted is not None else crc32(key.encode("utf-8", "replace")) / 2**32


BACKENDS.register("fake")(Fake())

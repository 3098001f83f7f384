"""What a fake model gives back for a request: tokens drawn from made-up logits by the real rules, in NumPy."""

import codecs
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Protocol
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from genai_lab.decoding import Completion, Delta, FinishReason, Stage, Token
from genai_lab.decoding.numpy_processors import processor_stages
from genai_lab.errors import LabError
from genai_lab.models import Prompt, Request
from genai_lab.models.fake_tokens import END, VOCABULARY, WORDS, token_bytes, token_text, tokenize

Logits = NDArray[np.float32]
# A text that is not scripted has between so many words.
SHORTEST, LONGEST = 8, 24
SCRIPTED, UNLIKELY = 12.0, -8.0
FAILING_AT = 3


class Script(Protocol):
    """How a fake model answers (see `fake.FakeScript`)."""

    @property
    def pause(self) -> float: ...

    @property
    def context(self) -> int: ...

    @property
    def failure(self) -> str: ...

    def answer(self, text: str) -> str | None: ...


class Scripted(Protocol):
    """A fake model, as its streams know it."""

    script: Script

    def count_tokens(self, prompt: Prompt) -> int: ...


class FakeStream:
    """The deltas of a request, computed as they are asked for."""

    def __init__(self, request: Request, generator: Scripted) -> None:
        self._request, self._sampling, self._script = request, request.sampling.seeded(), generator.script
        self.rendered = rendered(request.prompt)
        answer = generator.script.answer(self.rendered)
        self._answer = None if answer is None else (*tokenize(answer), END)
        self._prompt_tokens = generator.count_tokens(request.prompt)
        self._history = tokenize(self.rendered)
        self._completions: list[Completion] = []
        self._logits: dict[tuple[int, int], Logits] = {}
        self._cancelled = self._started = False
        # The completion under way as it stood when the last token was handed over.
        self._partial: Completion | None = None

    def __iter__(self) -> Iterator[Delta]:
        self._started = True
        for index in range(len(self._completions), self._sampling.num_return_sequences):
            yield from self._complete(index)

    def cancel(self) -> None:
        self._cancelled = True
        if not self._started:
            for _ in self:
                continue

    @property
    def completions(self) -> tuple[Completion, ...]:
        partial = self._partial if self._cancelled else None
        return (*self._completions, *([partial] if partial is not None else []))

    def logits(self, completion: int, step: int) -> Any:
        return self._logits.get((completion, step))

    def _complete(self, index: int) -> Iterator[Delta]:
        began = time.perf_counter()
        seed = ((self._sampling.seed or 0) + index) % 2**31
        random = np.random.default_rng([seed, crc32(self.rendered.encode("utf-8", "replace"))])
        # Drawn for every place of the text, so that a text that goes on from its first tokens goes on the same.
        uniforms = random.random(len(self._request.prompt.prefix) + self._sampling.max_new_tokens)
        length = SHORTEST + int(crc32(f"{self.rendered}|{seed}".encode("utf-8", "replace")) % (LONGEST - SHORTEST + 1))
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        tokens: list[Token] = []
        text, reason, first = "", "length", None
        while reason == "length" and len(tokens) < self._sampling.max_new_tokens:
            if self._cancelled:
                reason = "cancelled"
                break
            time.sleep(self._script.pause)
            token = self._next(index, len(tokens), uniforms, length, [item.id or 0 for item in tokens])
            first = first or time.perf_counter() - began
            if token.id == END:
                reason = "end of text"
                break
            tokens.append(token)
            longer = text + decode(token_bytes(token.id or 0))
            stops = [at for stop in self._sampling.stop if (at := longer.find(stop)) >= 0]
            longer, reason = (longer[: min(stops)], "stop string") if stops else (longer, reason)
            new, text = longer[len(text) :], longer
            self._partial = self._completion(index, text, tokens, "cancelled", seed, began, first)
            yield Delta(index, new, (token,))
            if self._script.failure and len(tokens) == FAILING_AT:
                self._finish(index, text, tokens, "error", seed, began, first)
                raise LabError(self._script.failure)
        self._finish(index, text, tokens, reason, seed, began, first)

    def _finish(
        self, index: int, text: str, tokens: list[Token], reason: str, seed: int, began: float, first: float | None
    ) -> None:
        self._partial = None
        self._completions.append(self._completion(index, text, tokens, reason, seed, began, first))

    def _completion(
        self, index: int, text: str, tokens: list[Token], reason: str, seed: int, began: float, first: float | None
    ) -> Completion:
        ended: FinishReason = reason  # type: ignore[assignment]
        seconds = time.perf_counter() - began
        return Completion(index, text, tuple(tokens), ended, self._prompt_tokens, seed, seconds, first)

    def _next(self, index: int, step: int, uniforms: Any, length: int, written: list[int]) -> Token:
        prefix = self._request.prompt.prefix
        position = len(prefix) + step
        before = (*prefix, *written)
        logits = self._logits_at(position, before[-1] if before else -1, length)
        if self._request.return_logits:
            self._logits[index, step] = logits
        history = (*self._history, *before)
        stages = processor_stages(logits, history, self._sampling)
        final = np.exp(stages[-1].log_probabilities)
        if self._sampling.greedy or self._sampling.num_beams > 1:
            # Beams give different texts: the best first token, the second best, and so on.
            ranked = np.argsort(-final, kind="stable")
            token_id, share = int(ranked[index if position == 0 and self._sampling.num_beams > 1 else 0]), 1.0
        else:
            mass = final.cumsum()
            token_id = min(int(np.searchsorted(mass, uniforms[position] * mass[-1], side="right")), len(mass) - 1)
            share = float(final[token_id] / mass[-1])
        trace = tuple(_shown(stage, self._request.trace) for stage in stages) if self._request.trace else ()
        return Token(token_id, token_text(token_id), float(stages[0].log_probabilities[token_id]), share, trace)

    def _logits_at(self, position: int, last: int, length: int) -> Logits:
        """(V,) of the token at a place: the scripted one is far above all others."""
        logits = _words_after(f"{self.rendered}|{last}|{position}").copy()
        if self._answer is not None:
            logits[self._answer[min(position, len(self._answer) - 1)]] = SCRIPTED
        elif position >= length:
            logits[END] = SCRIPTED
        return logits


def rendered(prompt: Prompt) -> str:
    """The text that the model reads: messages stand on lines of their own after their role."""
    if prompt.mode == "chat" and prompt.messages:
        return "\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)
    return prompt.text


@lru_cache(maxsize=4096)
def _words_after(key: str) -> Logits:
    """(V,) logits in which words are likely, and bytes and the end of the text are not."""
    random = np.random.default_rng(crc32(key.encode("utf-8", "replace")))
    logits = np.full(len(VOCABULARY), UNLIKELY, dtype=np.float32)
    logits[: len(WORDS)] = random.normal(0.0, 2.0, len(WORDS)).astype(np.float32)
    logits[len(WORDS) :] += random.random(len(VOCABULARY) - len(WORDS)).astype(np.float32)
    return logits


def _shown(stage: Any, count: int) -> Stage:
    """The `count` most probable tokens of a stage, as a trace holds them."""
    count_left = int(np.isfinite(stage.log_probabilities).sum())
    best = np.argsort(-stage.log_probabilities, kind="stable")[: min(count, count_left)].tolist()
    shares = np.exp(stage.log_probabilities[best]).tolist()
    return Stage(stage.filter, tuple(best), tuple(map(token_text, best)), tuple(shares), stage.removed)

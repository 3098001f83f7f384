"""A generator without a model: the same request, the same words. For tests and pages, never in the catalogue."""

import time
from collections.abc import Iterator, Sequence
from typing import Any
from zlib import crc32

from genai_lab.decoding import Completion, Delta, FinishReason, Token
from genai_lab.models import Card, Prompt, Request, Source

WORDS = ("once", "upon", "a", "time", "the", "small", "dog", "found", "red", "rope", "and", "went", "home", "again")


def fake_card(name: str = "fake") -> Card:
    return Card(name, Source("fake", name), "generate", "decoder-only", "none", context=1024, chat=True)


class FakeGenerator:
    """Says words that follow from prompt, seed and place; `pause` is the number of seconds before each."""

    def __init__(self, card: Card | None = None, pause: float = 0.0) -> None:
        self.card, self.pause = card or fake_card(), pause

    def submit(self, requests: Sequence[Request]) -> "list[FakeStream]":
        return [FakeStream(request, self) for request in requests]

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self.context_ids(prompt))

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return [(crc32(word.encode()) % len(WORDS), word) for word in text.split()]

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return (*(token for token, _ in self.tokenize(rendered(prompt))), *prompt.prefix)

    def prefix_text(self, prompt: Prompt) -> str:
        return "".join(map(self.token_text, prompt.prefix))

    def token_text(self, token_id: int) -> str:
        return WORDS[token_id % len(WORDS)] + " "

    def close(self) -> None:
        return


class FakeStream:
    """The deltas of a request, made as they are asked for."""

    def __init__(self, request: Request, generator: FakeGenerator) -> None:
        self._request, self._generator = request, generator
        self._sampling = request.sampling.seeded()
        self._done: list[Completion] = []
        self._cancelled = False
        self.rendered = rendered(request.prompt)

    def __iter__(self) -> Iterator[Delta]:
        for index in range(len(self._done), self._sampling.num_return_sequences):
            yield from self._say(index)

    def cancel(self) -> None:
        self._cancelled = True

    @property
    def completions(self) -> tuple[Completion, ...]:
        return tuple(self._done)

    def logits(self, completion: int, step: int) -> Any:
        return None

    def _say(self, index: int) -> Iterator[Delta]:
        began, seed = time.perf_counter(), (self._sampling.seed or 0) + index
        tokens: list[Token] = []
        text, reason = "", "length"
        while len(tokens) < self._sampling.max_new_tokens and reason == "length" and not self._cancelled:
            time.sleep(self._generator.pause)
            place = len(tokens) + len(self._request.prompt.prefix)
            token_id = crc32(f"{self.rendered}|{seed}|{place}".encode()) % len(WORDS)
            tokens.append(Token(token_id, self._generator.token_text(token_id), logprob=-1.0, probability=0.5))
            whole = text + tokens[-1].text
            found = [at for stop in self._sampling.stop if (at := whole.find(stop)) >= 0]
            whole, reason = (whole[: min(found)], "stop string") if found else (whole, reason)
            # Words are passed on whole, so that only a stop string within one word is kept out of the deltas.
            new, text = whole[len(text) :], whole
            yield Delta(index, new, (tokens[-1],))
        ended: FinishReason = "cancelled" if self._cancelled else "stop string" if reason != "length" else "length"
        seconds = time.perf_counter() - began
        size = self._generator.count_tokens(self._request.prompt)
        self._done.append(Completion(index, text, tuple(tokens), ended, size, seed, seconds, self._generator.pause))


def rendered(prompt: Prompt) -> str:
    if prompt.mode == "chat" and prompt.messages:
        return "\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)
    return prompt.text

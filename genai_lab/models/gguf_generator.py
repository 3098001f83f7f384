"""A GGUF file as a generator: prompts as the lab renders them, tokens with their alternatives, from llama.cpp."""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from genai_lab.decoding import Sampling, Stage, Token
from genai_lab.decoding.sequences import DecodingSequence, TokenStream
from genai_lab.errors import BadSetting, LabError, ModelError, PromptTooLong
from genai_lab.models import Card, Prompt, Request, Stream
from genai_lab.models.chat import PromptRenderer, check_length
from genai_lab.models.gguf_slots import Slots, usual_shape
from genai_lab.models.gguf_vocabulary import GgufVocabulary
from genai_lab.models.llama_server import LlamaServer, Shape

# Settings that llama.cpp's server does not have.
MISSING = ("no_repeat_ngram_size", "num_beams")
# In the order of the lab's own engine, which is that of transformers.
SAMPLERS = ("penalties", "temperature", "top_k", "top_p", "min_p", "typ_p")
ENCODED, KEPT_TEXT = 512, 8192
# An event that is no token, by which a long prompt can be cancelled while it is read.
PROGRESS = "prompt_progress"


@dataclass(eq=False)
class GgufSequence(DecodingSequence):
    """`control` is a control token that has come last: the end of the text, unless another token follows."""

    control: Token | None = None


class GgufGenerator:
    """`scheduler` are the slots. The files' own templates, special tokens and end tokens count, as llama.cpp reads
    them.
    """

    def __init__(self, card: Card, vocabulary: GgufVocabulary) -> None:
        assert card.path is not None
        assert card.context is not None
        self.card, self.vocabulary, self.context = card, vocabulary, card.context
        self._restarting = threading.Lock()
        self._server = LlamaServer(card.path, card.name, usual_shape(self.context))
        self.scheduler = Slots(self._server, self.context, self._restart, settings_of, self._read)
        self.token_text = lru_cache(maxsize=None)(vocabulary.token_text)
        self._encoded = lru_cache(maxsize=ENCODED)(self._encode_anew)
        self.render = PromptRenderer(vocabulary, card.name, ENCODED, KEPT_TEXT).render

    def submit(self, requests: Sequence[Request]) -> list[Stream]:
        by_request = [self._rows(request) for request in requests]
        self.scheduler.submit(row for rows in by_request for row in rows)
        return [rows[0].stream for rows in by_request]

    def count_tokens(self, prompt: Prompt) -> int:
        return len(self._encode(self.render(prompt), prompt.mode != "chat")) + len(prompt.prefix)

    def tokenize(self, text: str) -> list[tuple[int, str]]:
        return [(token, self.token_text(token)) for token in self._encode(text, False)]

    def context_ids(self, prompt: Prompt) -> tuple[int, ...]:
        return (*self._encode(self.render(prompt), prompt.mode != "chat"), *prompt.prefix)

    def prefix_text(self, prompt: Prompt) -> str:
        return self.vocabulary.text(prompt.prefix).rstrip("\ufffd")

    @property
    def busy(self) -> bool:
        return self.scheduler.busy

    def close(self) -> None:
        self.scheduler.close()

    def _restart(self, shape: Shape) -> LlamaServer:
        assert self.card.path is not None
        with self._restarting:
            self._server.close()
            self._server = LlamaServer(self.card.path, self.card.name, shape)
            return self._server

    def _rows(self, request: Request) -> list[GgufSequence]:
        check_supported(request)
        sampling = request.sampling.seeded()
        rendered = self.render(request.prompt)
        ids = [*self._encode(rendered, request.prompt.mode != "chat"), *request.prompt.prefix]
        if not ids:
            raise LabError("The prompt is empty; type something or choose an example.")
        if len(ids) >= self.context:
            raise PromptTooLong(len(ids), self.context)
        stream = TokenStream(sampling.num_return_sequences, rendered)
        return [
            GgufSequence(
                prompt=ids,
                decoder_prefix=[],
                stream=stream,
                index=index,
                sampling=sampling,
                context=[],
                before=ids,
                decode=self.vocabulary.text,
                ends=frozenset(),
                room=min(sampling.max_new_tokens, self.context - len(ids)),
                trace=request.trace,
            )
            for index in range(sampling.num_return_sequences)
        ]

    def _encode(self, text: str, start: bool) -> list[int]:
        return list(self._encode_anew(text, start) if len(text) > KEPT_TEXT else self._encoded(text, start))

    def _encode_anew(self, text: str, start: bool) -> tuple[int, ...]:
        check_length(text)
        if self.scheduler.closed:
            raise ModelError(f"{self.card.name} has been unloaded; load it again.")
        with self._restarting:
            if self._server.closed:
                # Another shape could not be had.
                assert self.card.path is not None
                self._server = LlamaServer(self.card.path, self.card.name, self._server.shape)
            return tuple(self._server.tokenize(text, start=start)) if text or start else ()

    def _read(self, row: DecodingSequence, event: dict[str, Any]) -> None:
        """Takes one event of a completion into its row."""
        assert isinstance(row, GgufSequence)
        if "error" in event:
            raise ModelError(
                f"llama.cpp stopped with an error: {str(event['error'].get('message'))[:200].rstrip('.')}."
            )
        for choice in event.get("choices", ()):
            for entry in (choice.get("logprobs") or {}).get("content", ()):
                if row.control is not None:
                    row.push(row.control)
                for token_id in self._held_back(entry):
                    row.push(Token(token_id, self.token_text(token_id)))
                token = self._token(row, entry)
                row.control = token if self.vocabulary.is_control(token.id or 0) else None
                if row.control is None:
                    row.push(token)
            if (reason := choice.get("finish_reason")) and row.finished is None:
                if reason == "length" and row.control is not None:
                    row.push(row.control)
                row.close("length" if reason == "length" else "end of text")

    def _held_back(self, entry: dict[str, Any]) -> list[int]:
        """Tokens before this one that llama.cpp kept to itself until their character was whole, told by their bytes.

        Their probabilities are not told, and where a character can be made of tokens in several ways, these are the
        ones that the tokenizer makes of it.
        """
        said, last = bytes(entry.get("bytes") or ()), int(entry["id"])
        own = self.vocabulary.bytes_of(last)
        if len(said) <= len(own) or not said.endswith(own):
            return []
        ids = self._encode(said.decode("utf-8", "replace"), False)
        if ids[-1:] == [last] and b"".join(map(self.vocabulary.bytes_of, ids)) == said:
            return ids[:-1]
        return self.vocabulary.ids_of(said[: len(said) - len(own)])

    def _token(self, row: DecodingSequence, entry: dict[str, Any]) -> Token:
        token_id, logprob = int(entry["id"]), float(entry["logprob"])
        best = [(int(other["id"]), float(other["logprob"])) for other in entry.get("top_logprobs", ())]
        shown = best[: row.trace]
        stages: tuple[Stage, ...] = ()
        if shown:
            ids = tuple(token for token, _ in shown)
            shares = tuple(math.exp(value) for _, value in shown)
            stages = (Stage("model", ids, tuple(map(self.token_text, ids)), shares, 0),)
        return Token(
            token_id, self.token_text(token_id), logprob, drawn_with(row.sampling, token_id, logprob, best), stages
        )


def check_supported(request: Request) -> None:
    """Raises BadSetting for a setting that llama.cpp's server does not have."""
    usual = Sampling()
    for name in MISSING:
        if (value := getattr(request.sampling, name)) != getattr(usual, name):
            raise BadSetting(name, value, f"{getattr(usual, name):g} (off) for a GGUF file, since llama.cpp has none")


def settings_of(row: DecodingSequence) -> dict[str, Any]:
    """The row's request in the words of llama.cpp's server. Stop strings are the lab's own work."""
    sampling = row.sampling
    return {
        "n_predict": row.room,
        "temperature": 0.0 if sampling.greedy else sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "typical_p": sampling.typical_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": len(row.prompt) + row.room,
        "samplers": list(SAMPLERS),
        "seed": row.seed,
        "n_probs": max(1, row.trace, sampling.top_k if not sampling.greedy and sampling.top_k <= row.trace else 0),
        "cache_prompt": True,
        "return_progress": True,
    }


def drawn_with(sampling: Sampling, token_id: int, logprob: float, best: list[tuple[int, float]]) -> float | None:
    """The probability after all filters, where what llama.cpp tells is enough to say it; else None.

    That is so for the best token alone, for the model's own distribution, and where no more than the tokens of `best`
    are left by top-k.
    """
    if sampling.greedy:
        return 1.0
    if sampling.repetition_penalty != 1 or sampling.min_p or sampling.typical_p < 1:
        return None
    if 0 < sampling.top_k <= len(best):
        weights = [math.exp((value - best[0][1]) / sampling.temperature) for _, value in best[: sampling.top_k]]
        kept, mass = {}, 0.0
        for (other, _), weight in zip(best, weights, strict=False):
            if mass >= sampling.top_p * sum(weights):
                break
            kept[other], mass = weight, mass + weight
        return kept[token_id] / mass if token_id in kept else None
    plain = sampling.temperature == 1 and sampling.top_p >= 1 and not sampling.top_k
    return math.exp(logprob) if plain else None

"""One request at an OpenAI-compatible server: server-sent events in, tokens and completions out."""

import asyncio
import math
import queue
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from genai_lab.decoding import Completion, Delta, FinishReason, Stage, Token
from genai_lab.errors import LabError, ModelError
from genai_lab.models import Card, Request
from genai_lab.models.checks import parse_object

MOST_ALTERNATIVES = {"chat": 20, "completion": 5}
REASONS: dict[str, FinishReason] = {"stop": "end of text", "length": "length", "eos_token": "end of text"}
LONGEST_EVENT = 4 * 2**20


@dataclass
class _Draft:
    """A completion while it arrives."""

    index: int
    seed: int
    began: float
    text: str = ""
    tokens: list[Token] = field(default_factory=list)
    reason: FinishReason | None = None
    first: float | None = None
    prompt_tokens: int = 0

    def done(self, reason: FinishReason) -> Completion:
        seconds = time.perf_counter() - self.began
        return Completion(
            self.index, self.text, tuple(self.tokens), reason, self.prompt_tokens, self.seed, seconds, self.first
        )


class EndpointStream:
    """The stream of one request; each completion is a call of its own, with the seed counted up."""

    def __init__(
        self,
        card: Card,
        address: str,
        headers: dict[str, str],
        request: Request,
        client: httpx.AsyncClient,
        turns: asyncio.Semaphore,
        timeout: float,
    ) -> None:
        self.card, self.address, self.request, self.timeout = card, address, request, timeout
        self._headers, self._client, self._turns = headers, client, turns
        self._events: queue.SimpleQueue[Delta | LabError | None] = queue.SimpleQueue()
        self._done: dict[int, Completion] = {}
        self._calls: list[asyncio.Future[None]] = []
        self._cancelled = False
        self.ended = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        asyncio.run_coroutine_threadsafe(self._all(), loop)

    def __iter__(self) -> Iterator[Delta]:
        while not (self.ended and self._events.empty()):
            event = self._events.get()
            if event is None:
                break
            if isinstance(event, LabError):
                raise event
            yield event

    def cancel(self) -> None:
        self._cancelled = True
        if not self.ended:
            self._loop.call_soon_threadsafe(self._stop_calls)

    def _stop_calls(self) -> None:
        for call in self._calls:
            call.cancel()

    @property
    def completions(self) -> tuple[Completion, ...]:
        return tuple(self._done[index] for index in sorted(self._done))

    @property
    def rendered(self) -> str:
        """The prompt, or the messages one after the other: the server's own template is not told."""
        prompt = self.request.prompt
        if prompt.mode != "chat":
            return prompt.text
        return "\n\n".join(f"{message['role']}: {message['content']}" for message in prompt.messages)

    def logits(self, completion: int, step: int) -> None:
        return None

    async def _all(self) -> None:
        began, sampling = time.perf_counter(), self.request.sampling.seeded()
        seeds = [((sampling.seed or 0) + index) % 2**31 for index in range(sampling.num_completions)]
        drafts = [_Draft(index, seed, began) for index, seed in enumerate(seeds)]
        error: LabError | None = None
        try:
            if self._cancelled:
                raise asyncio.CancelledError
            self._calls = [asyncio.ensure_future(self._one(draft)) for draft in drafts]
            await asyncio.gather(*self._calls)
        except asyncio.CancelledError:
            self._settle(drafts, "cancelled")
        except LabError as problem:
            error = problem
            self._settle(drafts, "error")
        except Exception as problem:
            error = ModelError(f"{self.address} could not be used ({type(problem).__name__}: {str(problem)[:200]}).")
            self._settle(drafts, "error")
        finally:
            self._stop_calls()
            if error is not None:
                self._events.put(error)
            self.ended = True
            self._events.put(None)

    def _settle(self, drafts: list[_Draft], reason: FinishReason) -> None:
        for draft in drafts:
            self._done.setdefault(draft.index, draft.done(reason))

    async def _one(self, draft: _Draft) -> None:
        path = "chat/completions" if self.request.prompt.mode == "chat" else "completions"
        body = payload(self.card, self.request, draft.seed)
        async with self._turns:
            try:
                async with self._client.stream(
                    "POST", f"{self.address}/{path}", json=body, headers=self._headers
                ) as answer:
                    if answer.status_code != 200:
                        said = await _start_of(answer)
                        key = self.card.source.key_env
                        raise ModelError(status_sentence(self.address, answer.status_code, answer.headers, said, key))
                    await self._read(answer, draft)
            except httpx.HTTPError as problem:
                raise ModelError(transport_sentence(self.address, problem, self.timeout)) from None
        if draft.reason is None:
            raise ModelError(f"{self.address} ended its answer in the middle; try again.")
        self._done[draft.index] = draft.done(draft.reason)

    async def _read(self, answer: httpx.Response, draft: _Draft) -> None:
        """Server-sent events: `data:` lines with one JSON object each, until [DONE]."""
        buffer = b""
        async for piece in answer.aiter_bytes():
            buffer += piece
            *lines, buffer = buffer.split(b"\n")
            if len(buffer) > LONGEST_EVENT:
                raise self._malformed("one event is too long")
            for line in lines:
                if self._line(line.strip(), draft):
                    return
        if buffer.strip():
            self._line(buffer.strip(), draft)

    def _line(self, line: bytes, draft: _Draft) -> bool:
        """Takes one line in; True at the end of the stream."""
        if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
            return False
        if not line.startswith(b"data:"):
            raise self._malformed("it did not stream events")
        data = line[5:].strip()
        if data == b"[DONE]":
            return True
        self._event(parse_object(data, f"An event from {self.address}", "check what runs there"), draft)
        return False

    def _event(self, event: dict[str, Any], draft: _Draft) -> None:
        if failure := event.get("error"):
            words = failure.get("message", failure) if isinstance(failure, dict) else failure
            raise ModelError(f"{self.address} stopped with an error: {str(words)[:200].rstrip('.')}.")
        usage, choices = event.get("usage"), event.get("choices")
        if isinstance(usage, dict) and isinstance(usage.get("prompt_tokens"), int):
            draft.prompt_tokens = usage["prompt_tokens"]
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise self._malformed("an event has no choices")
        for choice in choices:
            self._choice(choice, draft)

    def _choice(self, choice: dict[str, Any], draft: _Draft) -> None:
        inner = choice.get("delta", choice)
        text = (inner.get("content") if "delta" in choice else inner.get("text")) if isinstance(inner, dict) else ""
        if not isinstance(text, str | None):
            raise self._malformed("an event's text is no text")
        text = text or ""
        if isinstance(reason := choice.get("finish_reason"), str):
            # vLLM says in stop_reason which string ended the text; the others do not tell it from the model's own end.
            matched = isinstance(choice.get("stop_reason"), str)
            draft.reason = "stop string" if matched else REASONS.get(reason, "end of text")
        try:
            tokens = tokens_of(choice.get("logprobs"), text, self.request.trace)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            raise self._malformed("its log-probabilities cannot be read") from None
        if not text and not tokens:
            return
        if draft.first is None:
            draft.first = time.perf_counter() - draft.began
        draft.text += text
        draft.tokens += tokens
        self._events.put(Delta(draft.index, text, tuple(tokens)))

    def _malformed(self, why: str) -> ModelError:
        return ModelError(f"{self.address} did not answer as an OpenAI-compatible server does: {why}.")


async def _start_of(answer: httpx.Response, limit: int = 10_000) -> bytes:
    """The beginning of an answer's body, enough for the server's own words."""
    said = b""
    async for piece in answer.aiter_bytes():
        said += piece
        if len(said) > limit:
            break
    return said[:limit]


def payload(card: Card, request: Request, seed: int) -> dict[str, Any]:
    """The protocol's standard fields for this request."""
    sampling, prompt = request.sampling, request.prompt
    body: dict[str, Any] = {
        "model": card.source.remote_name,
        "max_tokens": sampling.max_new_tokens,
        "temperature": 0.0 if sampling.greedy else sampling.temperature,
        "top_p": 1.0 if sampling.greedy else sampling.top_p,
        "seed": seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if prompt.mode == "chat":
        body["messages"] = [dict(message) for message in prompt.messages]
        if request.trace:
            body |= {"logprobs": True, "top_logprobs": min(request.trace, MOST_ALTERNATIVES["chat"])}
    else:
        body["prompt"] = prompt.text
        if request.trace:
            body["logprobs"] = min(request.trace, MOST_ALTERNATIVES["completion"])
    return body


def tokens_of(logprobs: Any, text: str, trace: int) -> list[Token]:
    """Tokens with their log-probabilities where the server sends them, else the piece of text as one token.

    Two shapes are in use: chat's {content: [{token, logprob, top_logprobs: [...]}]} and completion's
    {tokens, token_logprobs, top_logprobs: [{text: logprob}]}.
    """
    if isinstance(logprobs, dict) and isinstance(logprobs.get("content"), list):
        rows = [
            (
                entry["token"],
                entry["logprob"],
                [(top["token"], top["logprob"]) for top in entry.get("top_logprobs") or ()],
            )
            for entry in logprobs["content"]
        ]
    elif isinstance(logprobs, dict) and isinstance(logprobs.get("tokens"), list):
        tops = logprobs.get("top_logprobs") or [None] * len(logprobs["tokens"])
        rows = [
            (token, logprob, list((top or {}).items()))
            for token, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"], tops, strict=True)
        ]
    else:
        return [Token(None, text)] if text else []
    return [_token(*row, trace) for row in rows]


def _token(text: str, logprob: float | None, tops: list[tuple[str, float]], trace: int) -> Token:
    if not isinstance(text, str):
        raise TypeError(text)
    token = Token(None, text, None if logprob is None else float(logprob))
    if not trace or not tops:
        return token
    ranked = sorted(((str(word), math.exp(min(float(value), 0.0))) for word, value in tops), key=lambda top: -top[1])
    words, shares = zip(*ranked[:trace], strict=True)
    return replace(token, stages=(Stage("model", (-1,) * len(words), words, shares, 0),))


def transport_sentence(address: str, problem: Exception, timeout: float) -> str:
    if isinstance(problem, httpx.ConnectTimeout | httpx.ConnectError):
        return f"Nothing answers at {address}; start the server or correct the address."
    if isinstance(problem, httpx.TimeoutException):
        return f"{address} sent nothing for {timeout:g} s; it may be busy or still loading its model, try again later."
    return f"The connection to {address} broke ({type(problem).__name__}); try again."


def status_sentence(address: str, status: int, headers: httpx.Headers, body: bytes, key_env: str | None) -> str:
    """What an answer that is not 200 means for the user."""
    if status in (401, 403):
        hint = f"check the key in {key_env}" if key_env else "give the name of the environment variable with the key"
        return f"{address} refused access ({status}); {hint}."
    if 300 <= status < 400:
        where = headers.get("location", "elsewhere")[:200]
        return f"{address} sends its callers on to {where}, which is not followed; give the final address."
    said = _said(body)
    if status == 404:
        return f"{address} does not know this model or path (404){said}; check the address and the model's name."
    if status == 429:
        return f"{address} has too many requests at the moment (429){said}; try again later."
    return f"{address} answered with error {status}{said}."


def _said(body: bytes) -> str:
    """The server's own words, shortened, as ': words' or ''."""
    try:
        value: Any = parse_object(body, "answer")
    except ModelError:
        return ""
    for key in ("error", "message", "detail"):
        value = value.get(key, value) if isinstance(value, dict) else value
    words = " ".join(value.split()) if isinstance(value, str) else ""
    return f": {words[:200].rstrip('.')}" if words else ""

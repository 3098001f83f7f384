"""One request at an OpenAI-compatible server: server-sent events in, tokens and completions out."""

import asyncio
import os
import queue
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from genai_lab.decoding import Completion, Delta, FinishReason, Token, why_empty
from genai_lab.errors import LabError, ModelError
from genai_lab.models import Card, Request
from genai_lab.models.connections import clear_errors, proxy_of, refuse_encoded
from genai_lab.models.endpoint_events import (
    DONE,
    EventReader,
    Piece,
    failure_of,
    pieces_of,
    said,
    usage_of,
    words_of,
    words_of_body,
)

MOST_ALTERNATIVES = {"chat": 20, "completion": 5}
LONGEST_ERROR = 64 * 1024
# Fields that change no text, and what a run without them is told.
OPTIONAL = {
    "seed": "The server takes no seed, so that a replay may give another text.",
    "logprobs": "The server gives no probabilities of tokens.",
    "top_logprobs": "",
    "stream_options": "",
    "top_p": "",
}


@dataclass(frozen=True)
class Limits:
    """Where an answer ends whatever the server sends: seconds until its first token and altogether, characters."""

    first_token: float
    whole: float
    characters: int

    @classmethod
    def of(cls, request: Request, timeout: float) -> "Limits":
        """Room for a slow server, a second for each token beside twenty times the timeout, and none for an endless
        one."""
        most = request.sampling.max_new_tokens
        return cls(10 * timeout, 20 * timeout + most, 64 * most + 10_000)


@dataclass(frozen=True)
class Server:
    """What all requests to one endpoint share. `refused` gathers the optional fields that it does not take."""

    card: Card
    address: str
    client: httpx.AsyncClient
    turns: asyncio.Semaphore
    timeout: float
    refused: set[str] = field(default_factory=set)


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
    size: int = 0
    thoughts: int = 0
    reasoning_tokens: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def begun(self) -> bool:
        return self.first is not None

    def done(self, reason: FinishReason) -> Completion:
        seconds = time.perf_counter() - self.began
        thought = self.reasoning_tokens or self.thoughts
        notes = (*self.notes, *_said_of(self.text, thought, reason))
        return Completion(
            self.index, self.text, tuple(self.tokens), reason, self.prompt_tokens, self.seed, seconds, self.first,
            thought, notes,
        )  # fmt: skip


def _said_of(text: str, thought: int, reason: FinishReason) -> Iterator[str]:
    """What a reader should know of an answer that is not what it seems."""
    empty = not text.strip()
    if thought and not (empty and reason == "length"):
        counted = f"{thought:,} token{'s' if thought != 1 else ''}"
        yield f"{counted} of reasoning came before the answer{', which is empty' if empty else ''}."
    if empty and reason != "error" and not (thought and reason == "end of text"):
        yield why_empty(reason, reasoning=thought if reason == "length" else 0)
    elif reason == "content filter":
        yield "The server's content filter cut the answer off."


class EndpointStream:
    """The stream of one request; each completion is a call of its own, with the seed counted up."""

    def __init__(self, server: Server, headers: dict[str, str], request: Request, limits: Limits) -> None:
        self.server, self.request, self.limits = server, request, limits
        self.address = server.address
        self._headers = {"Accept-Encoding": "identity", **headers}
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
        seeds = [((sampling.seed or 0) + index) % 2**31 for index in range(sampling.num_return_sequences)]
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
        async with self.server.turns:
            loop = asyncio.get_running_loop()
            ends = loop.time() + self.limits.whole
            with clear_errors(self.address, self.server.timeout):
                try:
                    async with asyncio.timeout(self.limits.first_token) as deadline:
                        await self._asked(draft, deadline, ends)
                except TimeoutError:
                    raise self._too_late(draft) from None
        if draft.reason is None:
            raise ModelError(f"{self.address} ended its answer in the middle; try again.")
        self._done[draft.index] = draft.done(draft.reason)

    def _too_late(self, draft: _Draft) -> ModelError:
        if not draft.begun:
            return ModelError(f"{self.address} sent no text for {self.limits.first_token:g} s; try again later.")
        return ModelError(
            f"{self.address} was still sending after {self.limits.whole:g} s, so that the answer was ended there; what "
            "came is kept."
        )

    async def _asked(self, draft: _Draft, deadline: asyncio.Timeout, ends: float) -> None:
        """Sends the request; once more without optional fields where the server refuses what it does not know."""
        body = payload(self.server.card, self.request, draft.seed)
        refused = set(self.server.refused)
        answer = await self._send(_without(body, refused))
        try:
            if answer.status_code in (400, 422) and (optional := _optional(body) - refused):
                message = await _start_of(answer)
                await answer.aclose()
                refused |= _named(optional, words_of_body(message))
                answer = await self._send(_without(body, refused))
            if answer.status_code != 200:
                key = self.server.card.source.key_env
                raise ModelError(
                    status_sentence(self.address, answer.status_code, answer.headers, await _start_of(answer), key)
                )
            self.server.refused.update(refused)
            draft.notes += [note for name, note in OPTIONAL.items() if name in refused & body.keys() and note]
            await self._read(answer, draft, deadline, ends)
        finally:
            await answer.aclose()

    async def _send(self, body: dict[str, Any]) -> httpx.Response:
        path = "chat/completions" if self.request.prompt.mode == "chat" else "completions"
        client = self.server.client
        request = client.build_request("POST", f"{self.address}/{path}", json=body, headers=self._headers)
        return await client.send(request, stream=True)

    async def _read(self, answer: httpx.Response, draft: _Draft, deadline: asyncio.Timeout, ends: float) -> None:
        """Takes the answer in until its end, which is one that the server announces or one of the limits."""
        refuse_encoded(self.address, answer.headers)
        reader = EventReader(self.address)
        async for piece in answer.aiter_raw():
            if self._take(reader, reader.push(piece), draft):
                return
            if draft.begun:
                deadline.reschedule(ends)
        self._take(reader, reader.close(), draft)

    def _take(self, reader: EventReader, events: Iterable[Any], draft: _Draft) -> bool:
        """Adds the events to the draft; True at the end of the answer."""
        for event in events:
            if event is DONE:
                draft.reason = draft.reason or "end of text"
                return True
            if (message := failure_of(event)) is not None:
                raise self._stopped(message)
            usage = usage_of(event)
            draft.prompt_tokens = draft.prompt_tokens if usage.prompt_tokens is None else usage.prompt_tokens
            draft.reasoning_tokens = usage.reasoning_tokens or draft.reasoning_tokens
            try:
                for piece in pieces_of(event, self.request.trace, self.request.sampling.stop, draft.begun):
                    self._add(piece, draft)
            except ValueError as problem:
                raise reader.malformed(str(problem)) from None
            if reader.streamed is False and draft.reason is None:
                if not isinstance(event, dict) or not event.get("choices"):
                    message = words_of(event)
                    raise reader.malformed(f"its answer has no choices{f': {message[:200]}' if message else ''}")
                draft.reason = "end of text"
            if draft.size > self.limits.characters:
                draft.reason = "length"
                draft.notes.append(
                    f"The server went on beyond {self.limits.characters:,} characters, where the answer was ended."
                )
                return True
        return False

    def _add(self, piece: Piece, draft: _Draft) -> None:
        if draft.first is None and (piece.text or piece.tokens or piece.reasoning):
            draft.first = time.perf_counter() - draft.began
        draft.thoughts += bool(piece.reasoning)
        draft.size += len(piece.text) + len(piece.reasoning) + len(piece.tokens)
        if piece.text or piece.tokens:
            draft.text += piece.text
            draft.tokens += piece.tokens
            self._events.put(Delta(draft.index, piece.text, piece.tokens))
        if piece.failed:
            raise self._stopped(piece.failed)
        draft.reason = piece.reason or draft.reason

    def _stopped(self, message: str) -> ModelError:
        return ModelError(f"{self.address} stopped with an error: {message[:200].rstrip('. ')}.")


async def _start_of(answer: httpx.Response) -> bytes:
    """The beginning of an answer's body, enough for the server's own words; none of a compressed one."""
    if answer.headers.get("content-encoding", "identity").strip().lower() != "identity":
        return b""
    start = b""
    async for piece in answer.aiter_raw():
        start += piece
        if len(start) > LONGEST_ERROR:
            break
    return start[:LONGEST_ERROR]


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


def _optional(body: dict[str, Any]) -> set[str]:
    """The fields that a request can do without and mean the same."""
    return {name for name in OPTIONAL if name in body and (name != "top_p" or body[name] == 1.0)}


def _named(optional: set[str], message: str) -> set[str]:
    """Those of the optional fields that the server's words name, or all; what goes together is left out together."""
    named = {name for name in optional if name in message} or optional
    together = {"logprobs", "top_logprobs"}
    return named | (optional & together if named & together else set()) | (optional & {"stream_options"})


def _without(body: dict[str, Any], refused: Iterable[str]) -> dict[str, Any]:
    left_out = _optional(body) & set(refused)
    return {name: value for name, value in body.items() if name not in left_out}


def status_sentence(address: str, status: int, headers: httpx.Headers, body: bytes, key_env: str | None) -> str:
    """What an answer that is not 200 means for the user."""
    detail = said(body, os.environ.get(key_env or "", "").strip())
    proxy = proxy_of(address)
    route = f", asked through the proxy {proxy}," if proxy else ""
    if status == 407 and proxy:
        return f"The proxy {proxy} wants a name and a password (407){detail}; put them into its variable."
    if status in (401, 403):
        hint = f"check the key in {key_env}" if key_env else "give the name of the environment variable with the key"
        return f"{address} refused access ({status}){detail}; {hint}."
    if 300 <= status < 400:
        where = headers.get("location", "elsewhere")[:200]
        return f"{address} sends its callers on to {where}, which is not followed; give the final address."
    if status == 404:
        return f"{address} does not know this model or path (404){detail}; check the address and the model's name."
    if status == 429:
        return f"{address} has too many requests at the moment (429){detail}; try again later."
    return f"{address}{route} answered with error {status}{detail}."

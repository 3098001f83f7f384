"""What OpenAI-compatible servers write, read leniently: events and whole answers, tokens, the words of an error.

Servers differ in small things, and none of these may cost an answer: what carries no text is passed over, what cannot
be read of the figures is left out. Numbers are bounded here, so that everything behind can keep them.
"""

import html
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from genai_lab.decoding import FinishReason, Stage, Token
from genai_lab.errors import ModelError
from genai_lab.models.checks import without_halves

LONGEST_EVENT = 4 * 2**20
LINES_OF_AN_EVENT = 100
LARGEST = 2**31
LONGEST_WORDS = 200
REASONS: dict[str, FinishReason] = {
    "length": "length", "max_tokens": "length", "model_length": "length", "max_output_tokens": "length",
    "content_filter": "content filter", "content-filter": "content filter", "safety": "content filter",
    "blocklist": "content filter", "prohibited_content": "content filter", "recitation": "content filter",
    "stop_sequence": "stop string",
}  # fmt: skip
FAILED = ("error", "abort", "aborted", "cancelled", "network_error", "insufficient_system_resource")
WORD_KEYS = ("error", "message", "msg", "detail", "details", "errors", "error_message", "description", "title")
DONE = object()
UNREADABLE = object()


@dataclass(frozen=True)
class Piece:
    """What one event adds to a completion; None and empty where it says nothing of it."""

    text: str = ""
    tokens: tuple[Token, ...] = ()
    reasoning: str = ""
    reason: FinishReason | None = None
    failed: str = ""


@dataclass(frozen=True)
class Usage:
    """The server's own counts, each None where it is missing or no count."""

    prompt_tokens: int | None = None
    reasoning_tokens: int | None = None


@dataclass
class EventReader:
    """Cuts a body into JSON values: server-sent events, or one JSON answer where the server does not stream.

    `push` and `close` give values as they are complete, and DONE at the end that the server announces. `streamed` is
    None until the first line tells which of the two it is.
    """

    address: str
    streamed: bool | None = None
    _parts: list[bytes] = field(default_factory=list)
    _size: int = 0
    _data: list[bytes] = field(default_factory=list)
    _event: bytes = b""

    def push(self, piece: bytes) -> Iterator[Any]:
        self._parts.append(piece)
        self._size += len(piece)
        if b"\n" in piece and self.streamed is not False:
            buffer = b"".join(self._parts)
            if self.streamed is None:
                buffer = buffer.removeprefix(b"\xef\xbb\xbf").lstrip()
                self._recognise(buffer.partition(b"\n")[0])
            lines = buffer.split(b"\n") if self.streamed else [buffer]
            self._parts, self._size = [lines[-1]], len(lines[-1])
            for line in lines[:-1]:
                yield from self._line(line.strip())
        if self._size > LONGEST_EVENT:
            raise self.malformed("one event is too long")

    def close(self) -> Iterator[Any]:
        """What stands at the end without a line feed, or the whole answer that was not streamed."""
        remainder = b"".join(self._parts).removeprefix(b"\xef\xbb\xbf").strip()
        if self.streamed is None:
            self._recognise(remainder)
        if self.streamed is False:
            yield self._readable(remainder)
        elif self.streamed:
            yield from self._line(remainder)
            yield from self._line(b"")

    def _recognise(self, line: bytes) -> None:
        """Tells by its first line how the body is written."""
        name = line.partition(b":")[0].strip()
        if line[:1] in (b"{", b"["):
            self.streamed = False
        elif line[:1] == b":" or name in (b"data", b"error", b"event", b"id", b"retry"):
            self.streamed = True
        elif line:
            raise self.malformed(f"it did not stream events{said(line)}")

    def _line(self, line: bytes) -> Iterator[Any]:
        name, _, value = line.partition(b":")
        value = value.strip()
        if not line:
            if self._data:
                self._readable(b"\n".join(self._data))  # it cannot be read, or it would have been given already
            self._event = b""
        elif name == b"event":
            self._event = value
        elif name == b"error":
            yield {"error": value.decode("utf-8", "replace")}
        elif line[:1] in (b"{", b"["):
            yield self._readable(line)
        elif name == b"data" and value == b"[DONE]":
            yield DONE
        elif name == b"data" and (value or self._data):
            yield from self._datum(value)

    def _datum(self, value: bytes) -> Iterator[Any]:
        """One `data:` line: most servers put an event on one, the format lets it have several."""
        self._data.append(value)
        datum = json_value(b"\n".join(self._data))
        if datum is UNREADABLE:
            if len(self._data) >= LINES_OF_AN_EVENT:
                raise self.malformed("one event has too many lines")
            return
        self._data = []
        if self._event == b"error" and not (isinstance(datum, dict) and "error" in datum):
            datum = {"error": datum}
        yield datum

    def _readable(self, body: bytes) -> Any:
        if (value := json_value(body)) is UNREADABLE:
            raise ModelError(f"An event from {self.address} is not valid JSON; check what runs there.")
        return value

    def malformed(self, why: str) -> ModelError:
        return ModelError(f"{self.address} did not answer as an OpenAI-compatible server does: {why}.")


def json_value(body: bytes) -> Any:
    """The value, with None for numbers that are none or beyond any; UNREADABLE where it is not valid JSON."""
    try:
        value = json.loads(body, parse_constant=lambda _: None, parse_int=_whole)
    except (ValueError, RecursionError):
        return UNREADABLE
    return without_halves(value) if b"\\ud" in body.lower() else value


def _whole(text: str) -> int | None:
    return int(text) if len(text) < 20 else None


def count(value: Any) -> int | None:
    """A number of tokens, None for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST else None


def failure_of(event: Any) -> str | None:
    """The server's words where the event says that the request has failed, else None."""
    if isinstance(event, list):
        return next((message for part in event if (message := failure_of(part)) is not None), None)
    if not isinstance(event, dict):
        return None
    alone = not event.get("choices")
    if event.get("error") or (alone and ("error" in (event.get("object"), event.get("type")) or event.get("detail"))):
        return words_of(event) or "no reason is given"
    return None


def usage_of(event: Any) -> Usage:
    usage = event.get("usage") if isinstance(event, dict) else None
    if not isinstance(usage, dict):
        return Usage()
    details = usage.get("completion_tokens_details")
    inner = details if isinstance(details, dict) else usage
    return Usage(count(usage.get("prompt_tokens")), count(inner.get("reasoning_tokens")))


def pieces_of(event: Any, trace: int, stops: Sequence[str], begun: bool) -> Iterator[Piece]:
    """What the event's first choice adds; nothing for an event without text. Raises ValueError for text that is none.

    A whole message counts only where nothing has `begun`: some servers repeat the answer at its end.
    """
    for part in event if isinstance(event, list) else [event]:
        choices = part.get("choices") if isinstance(part, dict) else None
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("index", 0) in (0, None):
                yield _piece(choice, trace, stops, begun)


def _piece(choice: dict[str, Any], trace: int, stops: Sequence[str], begun: bool) -> Piece:
    delta, message = choice.get("delta"), choice.get("message")
    inner: dict[str, Any] = delta if isinstance(delta, dict) else {}
    if not inner and isinstance(message, dict) and not begun:
        inner = message
    text, thought = _text(inner.get("content"))
    for other in (inner.get("refusal"), inner.get("text"), choice.get("text")):
        text = text or _text(other)[0]
    for other in (inner.get("reasoning_content"), inner.get("reasoning")):
        thought = thought or _text(other)[0]
    named = choice.get("finish_reason")
    word = named.lower() if isinstance(named, str) and named.lower() not in ("null", "none") else ""
    reason: FinishReason | None = REASONS.get(word, "end of text") if word else None
    # vLLM says in stop_reason which string ended the text; the others do not tell it from the model's own end.
    if word == "stop" and choice.get("stop_reason") in stops:
        reason = "stop string"
    failed = words_of(choice.get("error")) or (f"it ended for the reason {named!r}" if word in FAILED else "")
    return Piece(text, tuple(tokens_of(choice.get("logprobs"), text, trace)), thought, reason, failed)


def _text(value: Any) -> tuple[str, str]:
    """(text, reasoning) of a content that is a text, or a list of parts of which those that think are told apart."""
    if value is None or value is False:
        return "", ""
    if isinstance(value, str):
        return value, ""
    if isinstance(value, list):
        both = [_text(part) for part in value]
        return "".join(text for text, _ in both), "".join(thought for _, thought in both)
    if isinstance(value, dict):
        if value.get("type") in ("thinking", "reasoning"):
            inner = next((value[key] for key in ("thinking", "reasoning", "text", "content") if value.get(key)), "")
            return "", "".join(_text(inner))
        return _text(value.get("text", value.get("value", "")))
    raise ValueError("an event's text is not text")


def tokens_of(logprobs: Any, text: str, trace: int) -> list[Token]:
    """Tokens with their log-probabilities where the server sends them, else the piece of text as one token.

    Two shapes are in use: chat's {content: [{token, logprob, top_logprobs: [...]}]} and completion's
    {tokens, token_logprobs, top_logprobs: [{text: logprob}]}.
    """
    try:
        rows = _rows(logprobs)
        tokens = [_token(*row, trace) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        tokens = []
    if len(tokens) == 1 and text:
        return [replace(tokens[0], text=text)]
    return tokens or ([Token(None, text)] if text else [])


def _rows(logprobs: Any) -> list[tuple[str, Any, list[tuple[Any, Any]]]]:
    if not isinstance(logprobs, dict):
        return []
    if isinstance(logprobs.get("content"), list):
        return [
            (
                entry["token"],
                entry.get("logprob"),
                [(top["token"], top["logprob"]) for top in entry.get("top_logprobs") or ()],
            )
            for entry in logprobs["content"]
        ]
    if isinstance(logprobs.get("tokens"), list):
        names, values = logprobs["tokens"], logprobs.get("token_logprobs") or []
        tops = logprobs.get("top_logprobs") or [None] * len(names)
        return [
            (token, logprob, list((top or {}).items())) for token, logprob, top in zip(names, values, tops, strict=True)
        ]
    return []


def _token(text: str, logprob: Any, tops: list[tuple[Any, Any]], trace: int) -> Token:
    if not isinstance(text, str):
        raise TypeError(text)
    token = Token(None, text, _finite(logprob))
    alternatives = [
        (str(word), math.exp(min(value, 0.0))) for word, log_share in tops if (value := _finite(log_share)) is not None
    ]
    if not trace or not alternatives:
        return token
    texts, shares = zip(*sorted(alternatives, key=lambda top: -top[1])[:trace], strict=True)
    return replace(token, stages=(Stage("model", (-1,) * len(texts), texts, shares, 0),))


def _finite(value: Any) -> float | None:
    is_finite = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_finite else None


def said(body: bytes, secret: str = "") -> str:
    """The server's own words, shortened, as ': words' or ''; the key, which some servers repeat, is left out."""
    words = words_of_body(body)
    if secret:
        words = words.replace(secret, "(the key)")
    return f": {words[:LONGEST_WORDS].rstrip('. ')}" if words else ""


def words_of_body(body: bytes) -> str:
    """The words of an answer that is no success, whether it is JSON, plain text or a gateway's page."""
    value = json_value(body)
    return _plain(body.decode("utf-8", "replace")) if value is UNREADABLE else words_of(value)


def words_of(value: Any, depth: int = 6) -> str:
    """The words of an error in any of the forms that servers give them, as one line; "" where there are none."""
    if depth == 0 or value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        inner = json_value(value.encode("utf-8", "replace")) if value.lstrip()[:1] in ("{", "[") else UNREADABLE
        return (words_of(inner, depth - 1) if inner is not UNREADABLE else "") or _plain(value)
    if isinstance(value, list):
        return "; ".join(message for entry in value[:5] if (message := words_of(entry, depth - 1)))
    if not isinstance(value, dict):
        return ""
    message = next((message for key in WORD_KEYS if (message := words_of(value.get(key), depth - 1))), "")
    location = value.get("loc")
    if message and isinstance(location, list):
        named = ".".join(str(part) for part in location[:8] if part != "body")
        return f"{named}: {message}" if named else message
    return message


def _plain(text: str) -> str:
    """Text for people: a gateway's HTML without its tags."""
    text = text[:5000]
    if "<" in text and ">" in text:
        text = re.sub(r"(?is)<(script|style)\b.{0,5000}?</\1>", " ", text)
        title = re.search(r"(?is)<(title|h1)[^>]{0,500}>(.{1,500}?)</\1>", text)
        text = html.unescape(title.group(2) if title else re.sub(r"<[^>]{0,2000}>", " ", text))
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[: 2 * LONGEST_WORDS]

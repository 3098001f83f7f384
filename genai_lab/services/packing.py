"""Completions as rows: the tokens with their alternatives as compressed JSON."""

import json
import zlib
from typing import Any

from genai_lab.decoding import Completion, Stage, Token
from genai_lab.models import Prompt
from storage.tables import Generation

LARGEST = 2**31 - 1


def asked_of(settings: dict[str, Any], rendered: str) -> str:
    """The prompt of a recorded completion as people and reward models read it.

    Models render the same chat each in its own template, so that the rendered text would make other prompts of it.
    """
    stored = settings.get("prompt")
    if isinstance(stored, dict) and stored.get("mode") == "chat" and stored.get("messages"):
        return Prompt(messages=tuple(stored["messages"]), mode="chat").as_text
    return rendered


def row_of(completion: Completion, rendered: str) -> Generation:
    tokens = json.dumps([_packed(token) for token in completion.tokens], separators=(",", ":"))
    return Generation(
        sample_index=completion.index,
        rendered_prompt=rendered,
        text=completion.text,
        finish_reason=completion.finish_reason,
        prompt_tokens=completion.prompt_tokens,
        completion_tokens=completion.completion_tokens,
        seconds=completion.seconds,
        first_token_seconds=completion.first_token_seconds,
        seed=completion.seed,
        trace=zlib.compress(tokens.encode(), 1),
        detail=_detail(completion),
    )


def plain_row(completion: Completion, rendered: str) -> Generation:
    """The text alone, in a form that every database takes: for a completion of which something else cannot be kept."""
    return Generation(
        sample_index=completion.index,
        rendered_prompt=_storable(rendered),
        text=_storable(completion.text),
        finish_reason="error",
        prompt_tokens=0,
        completion_tokens=0,
        seconds=0.0,
        first_token_seconds=None,
        seed=0,
        trace=zlib.compress(b"[]", 1),
    )


def storable(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a completion as every database takes them, whatever the model said."""
    bounded = {name: value for name, value in fields.items() if isinstance(value, int) and not isinstance(value, bool)}
    clipped = {name: max(-LARGEST, min(value, LARGEST)) for name, value in bounded.items()}
    return fields | clipped | {name: _storable(value) for name, value in fields.items() if isinstance(value, str)}


def _storable(text: object) -> str:
    """Text without what a database may refuse: NUL and halves of characters."""
    return str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _detail(completion: Completion) -> dict[str, Any] | None:
    """What only some completions have."""
    detail = {"reasoning_tokens": completion.reasoning_tokens, "notes": list(completion.notes)}
    return {name: value for name, value in detail.items() if value} or None


def _packed(token: Token) -> list[Any]:
    stages = [[s.filter, list(zip(s.ids, s.texts, s.probabilities, strict=True)), s.removed] for s in token.stages]
    return [token.id, token.text, token.logprob, token.probability, stages]


def completion_of(row: Generation) -> Completion:
    return Completion(
        index=row.sample_index,
        text=row.text,
        tokens=tuple(_token(packed) for packed in json.loads(zlib.decompress(row.trace))),
        finish_reason=row.finish_reason,  # type: ignore[arg-type]
        prompt_tokens=row.prompt_tokens,
        seed=row.seed,
        seconds=row.seconds,
        first_token_seconds=row.first_token_seconds,
        reasoning_tokens=(row.detail or {}).get("reasoning_tokens", 0),
        notes=tuple((row.detail or {}).get("notes", ())),
    )


def _token(packed: list[Any]) -> Token:
    token_id, text, logprob, probability, stages = packed
    stored = tuple(_stage(*packed) for packed in stages)
    return Token(token_id, text, logprob, probability, stored)


def _stage(name: str, tokens: list[list[Any]], removed: int) -> Stage:
    ids, texts, shares = zip(*tokens, strict=True) if tokens else ((), (), ())
    return Stage(name, ids, texts, shares, removed)

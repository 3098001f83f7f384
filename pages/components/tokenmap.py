"""The token map: text coloured by how probable each token was, with the alternatives on hover or focus.

A value is a dictionary. `key` names the text (another key clears the map), `start` and `tokens` add to it, `before`
stands in front, greyed (a prompt, or what was given to continue), `selected` outlines one token. Updates may be
merged by a busy browser, so each delta of a TokenStream repeats the one before it, and the last value is complete.
`tokens` is JSON in a string: Gradio walks several times through every list that it sends, which costs more than
generating the tokens.
"""

import json
import math
import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr

from genai_lab.decoding import Token
from pages.components.theme import ASSETS

_TEMPLATE = (
    '<div class="tm-legend" aria-hidden="true"><span>likely</span><i></i><span>unlikely</span></div>'
    '<div class="tm" role="group" aria-label="{{caption}}"></div>'
    '<div class="tm-tip" role="group" aria-label="Alternatives" hidden></div>'
)


def token_map(
    value: dict[str, Any] | None = None, *, label: str = "Tokens", placeholder: str = "", **options: Any
) -> gr.HTML:
    """A token map with two events: `select` with {completion, index}, `branch` with {completion, index, token id}.

    Wire them by name, `component.select(fn, ...)` and `component.branch(fn, ...)`, where fn takes
    `event: gr.EventData` and reads `event.index`, `event.completion`, `event.token`. `placeholder` says what to do
    while there is nothing to show; `options` go to gr.HTML (elem_id, visible, scale ...).
    """
    return gr.HTML(
        value or {"key": "", "start": 0, "tokens": "[]"},
        html_template=_TEMPLATE,
        css_template=(ASSETS / "tokenmap.css").read_text(),
        js_on_load=(ASSETS / "tokenmap.js").read_text(),
        apply_default_css=False,
        label=label,
        show_label=True,
        container=True,
        elem_classes=["token-map"],
        caption=label,
        placeholder=placeholder,
        **options,
    )


class TokenStream:
    """Turns one completion's tokens, as they come, into a token map's values."""

    def __init__(self, completion: int = 0, before: str = "") -> None:
        self._fixed = {"key": secrets.token_hex(4), "completion": completion, "before": before}
        self._tokens: list[str] = []
        self._last = 0

    def push(self, tokens: Sequence[Token]) -> dict[str, Any]:
        """The value that adds `tokens`."""
        start, self._last = self._last, len(self._tokens)
        self._tokens += [json.dumps(token_value(token), separators=(",", ":")) for token in tokens]
        return {**self._fixed, "start": start, "tokens": _list(self._tokens[start:])}

    def full(self, selected: int | None = None) -> dict[str, Any]:
        """The value that holds everything so far; yield it at the end."""
        return {**self._fixed, "start": 0, "tokens": _list(self._tokens), "selected": selected}


def full_value(
    tokens: Sequence[Token], *, completion: int = 0, before: str = "", selected: int | None = None
) -> dict[str, Any]:
    """The value for a finished completion."""
    stream = TokenStream(completion, before)
    stream.push(tokens)
    return stream.full(selected)


def token_value(token: Token) -> dict[str, Any]:
    """A token as the browser gets it: t text, i id, p the model's probability, d the drawn-with one, a alternatives.

    An alternative is [id, text, the model's probability, the one after all filters]; None where it is not known.
    """
    value: dict[str, Any] = {"t": token.text, "i": token.id}
    if token.logprob is not None:
        value["p"] = _short(math.exp(token.logprob))
    if token.probability is not None:
        value["d"] = _short(token.probability)
    if token.stages:
        value["a"] = _alternatives(token)
    return value


def _alternatives(token: Token) -> list[list[Any]]:
    first, last = token.stages[0], token.stages[-1]
    after = dict(zip(last.ids, last.probabilities, strict=True))
    rows = zip(first.ids, first.texts, first.probabilities, strict=True)
    alternatives = {first_id: [first_id, text, _short(likely), None] for first_id, text, likely in rows}
    for first_id, text in zip(last.ids, last.texts, strict=True):
        alternatives.setdefault(first_id, [first_id, text, None, None])
    if len(token.stages) > 1:
        for token_id, row in alternatives.items():
            row[3] = _short(after.get(token_id, 0.0))
    return sorted(alternatives.values(), key=lambda row: -(row[2] or 0.0))


def _list(items: Sequence[str]) -> str:
    return f"[{','.join(items)}]"


def _short(probability: float) -> float:
    return float(f"{probability:.4g}")

"""A settings dataclass as inputs and back, so that a new setting needs no page.

Field metadata: help, low, high, step, unit, choices, and more=True for what belongs under 'More settings'.
"""

import math
import re
import types
import typing
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeVar

import gradio as gr

Settings = TypeVar("Settings")
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}


@dataclass(frozen=True)
class _Kind:
    """A field's type: `base` is bool, int, float, str or tuple; `optional` allows None."""

    base: type
    optional: bool


def settings_form(
    cls: type,
    only: Sequence[str] | None = None,
    *,
    prefix: str = "setting",
    more: str = "More settings",
    across: int = 1,
) -> dict[str, gr.components.Component]:
    """Draws inputs here for the fields of a frozen dataclass, or for `only` these, in the order drawn.

    Fields with more=True stand in a closed accordion titled `more`; an empty `more` draws all of them in one group.
    With `across` that many stand side by side, as plain fields. Each input's elem_id is `prefix-name`.
    """
    chosen = _fields(cls, only)
    first = [item for item in chosen if not (more and item.metadata.get("more"))]
    rest = [item for item in chosen if item not in first]
    hints = typing.get_type_hints(cls)
    inputs: dict[str, gr.components.Component] = {}
    if first and across > 1:
        for start in range(0, len(first), across):
            with gr.Row():
                for item in first[start : start + across]:
                    inputs[item.name] = _input(item, _kind(hints[item.name]), prefix, slides=False)
    elif first:
        with gr.Group():
            inputs |= {item.name: _input(item, _kind(hints[item.name]), prefix) for item in first}
    if rest:
        with gr.Accordion(more, open=False, elem_id=f"{prefix}-more"), gr.Group():
            inputs |= {item.name: _input(item, _kind(hints[item.name]), prefix) for item in rest}
    return inputs


def read_settings(cls: type[Settings], names: Iterable[str], values: Iterable[Any], **fixed: Any) -> Settings:
    """The dataclass from the inputs' values; it raises its own LabError for a value outside its range."""
    hints = typing.get_type_hints(cls)
    given = {name: _from_input(value, _kind(hints[name])) for name, value in zip(names, values, strict=True)}
    return cls(**given | fixed)


def show_settings(settings: Any, names: Iterable[str]) -> list[Any]:
    """The values that put `settings` into the inputs called `names`."""
    return [_to_input(getattr(settings, name)) for name in names]


def label_of(name: str) -> str:
    """top_k -> Top-k, max_new_tokens -> Max new tokens, no_repeat_ngram -> No-repeat n-gram."""
    text = re.sub(r"_([a-z])$", r"-\1", name).replace("no_repeat", "no-repeat").replace("ngram", "n-gram")
    return text.replace("_", " ").capitalize()


def _fields(cls: type, only: Sequence[str] | None) -> list[Field]:
    known = {item.name: item for item in fields(cls)}
    return [known[name] for name in (only if only is not None else known)]


def _kind(hint: Any) -> _Kind:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    base = next(part for part in parts if part is not type(None))
    return _Kind(typing.get_origin(base) or base, type(None) in parts)


def _input(item: Field, kind: _Kind, prefix: str, slides: bool = True) -> gr.components.Component:
    data, default = item.metadata, _default(item)
    unit = data.get("unit", "")
    label = label_of(item.name) + (f" ({unit})" if unit and unit not in item.name else "")
    common: dict[str, Any] = {
        "label": label,
        "info": data.get("help"),
        "elem_id": f"{prefix}-{item.name.replace('_', '-')}",
        "interactive": True,
    }
    if choices := data.get("choices"):
        return gr.Dropdown(list(choices), value=default, **common)
    if kind.base is bool:
        return gr.Checkbox(default, **common)
    if kind.base is tuple:
        return gr.Textbox(
            _to_input(default), lines=1, max_lines=6, placeholder="one per line; \\n is a line break", **common
        )
    if kind.base in (int, float):
        return _number(item, kind, common, slides)
    return gr.Textbox(default, **common)


def _default(item: Field) -> Any:
    return None if item.default is MISSING else item.default


def _number(item: Field, kind: _Kind, common: dict[str, Any], slides: bool) -> gr.components.Component:
    low, high, step = (item.metadata.get(key) for key in ("low", "high", "step"))
    precision = 0 if kind.base is int else None
    if kind.optional or low is None or high is None or not slides:
        return gr.Number(_default(item), precision=precision, **common)
    step = step or (1 if kind.base is int else None)
    if step and kind.base is float:
        low = round(math.ceil(round(low / step, 6)) * step, 6)
    return gr.Slider(low, high, _default(item), step=step, precision=precision, **common)


def _from_input(value: Any, kind: _Kind) -> Any:
    if kind.base is tuple:
        return tuple(_unescaped(line) for line in (value or "").split("\n") if line)
    if value is None or value == "":
        return None if kind.optional else value
    if kind.base is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return float(value) if kind.base is float and isinstance(value, int) else value


def _to_input(value: Any) -> Any:
    """A tuple as lines; a line break within a text is written \\n."""
    if not isinstance(value, tuple | list):
        return value
    return "\n".join(re.sub(r"[\\\n\t]", lambda found: _ESCAPES[found[0]], text) for text in value)


def _unescaped(line: str) -> str:
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nt]", lambda found: plain[found[0]], line)

"""Settings dataclasses as inputs: drawing them, reading the inputs' values, writing settings into them, all by name.

Metadata of a settings field: help, low, high, step, unit, choices, label, and more=True for what belongs under
'More settings'.
"""

import math
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, TypeVar

import gradio as gr

Settings = TypeVar("Settings")
Values = Mapping[str, Any]  # what inputs hold, by name
Updates = dict[str, Any]  # a new value or gr.update(...), by name
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}
_LABELS = {"num_completions": "Completions", "num_return_sequences": "Completions"}
_WORDS = {"grad": "gradient", "eval": "evaluation", "ngram": "n-gram"}


def setting_names(cls: Any) -> list[str]:
    """The fields of a settings dataclass as they are drawn: those under 'More settings' last."""
    return [item.name for item in sorted(fields(cls), key=lambda item: bool(item.metadata.get("more")))]


def read_settings(cls: type[Settings], values: Values, **fixed: Any) -> Settings:
    """The dataclass from values by name, whatever else is among them; a field without a value has its default.

    The dataclass raises its own LabError for a value outside its range.
    """
    hints = typing.get_type_hints(cls)
    names = [name for name in setting_names(cls) if name in values]
    known = {name: _from_input(values[name], _kind(hints[name])) for name in names}
    return cls(**known | fixed)


def write_settings(settings: Any, names: Iterable[str] | None = None) -> Updates:
    """The values that put `settings` into their inputs, or into `names` of them."""
    chosen = setting_names(type(settings)) if names is None else names
    return {name: _to_input(getattr(settings, name)) for name in chosen}


def label_of(name: str) -> str:
    """top_k -> Top-k, max_new_tokens -> Max new tokens, num_beams -> Beams, max_grad_norm -> Max gradient norm."""
    if name in _LABELS:
        return _LABELS[name]
    text = re.sub(r"_([a-z])$", r"-\1", name.removeprefix("num_"))
    text = text.replace("no_repeat", "no-repeat").replace("per_device", "per-device")
    words = " ".join(_WORDS.get(word, word) for word in text.split("_"))
    return words[:1].upper() + words[1:]


def draw_settings(
    cls: type,
    names: Sequence[str] | None = None,
    *,
    prefix: str = "setting",
    more: str = "More settings",
    across: int = 1,
) -> dict[str, gr.components.Component]:
    """Draws inputs here for the fields of a frozen dataclass, or for `names` of them, by name.

    Fields with more=True stand in a closed accordion titled `more`; an empty `more` draws all of them in one group.
    With `across` that many stand side by side, as plain fields. Each input's elem_id is `prefix-name`.
    """
    by_name = {item.name: item for item in fields(cls)}
    chosen = [by_name[name] for name in (names if names is not None else by_name)]
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


@dataclass(frozen=True)
class _Kind:
    """A field's type: `base` is bool, int, float, str or tuple; `optional` allows None."""

    base: type
    optional: bool


def _kind(hint: Any) -> _Kind:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    base = next(part for part in parts if part is not type(None))
    return _Kind(typing.get_origin(base) or base, type(None) in parts)


def _input(item: Field, kind: _Kind, prefix: str, slides: bool = True) -> gr.components.Component:
    data = item.metadata
    default: Any = None if item.default is MISSING else item.default
    unit = data.get("unit", "")
    label = data.get("label") or label_of(item.name) + (f" ({unit})" if unit and unit not in item.name else "")
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


def _number(item: Field, kind: _Kind, common: dict[str, Any], slides: bool) -> gr.components.Component:
    low, high, step = (item.metadata.get(key) for key in ("low", "high", "step"))
    precision = 0 if kind.base is int else None
    default = None if item.default is MISSING else item.default
    if kind.optional or low is None or high is None or not slides:
        return gr.Number(default, precision=precision, **common)
    step = step or (1 if kind.base is int else None)
    if step and kind.base is float:
        low = round(math.ceil(round(low / step, 6)) * step, 6)
    return gr.Slider(low, high, default, step=step, precision=precision, **common)


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
    return "\n".join(re.sub(r"[\\\n\t]", lambda match: _ESCAPES[match[0]], text) for text in value)


def _unescaped(line: str) -> str:
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nt]", lambda match: plain[match[0]], line)

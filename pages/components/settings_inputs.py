"""Settings dataclasses as inputs: drawing them, reading the inputs' values, writing settings into them, all by name.

Metadata of a settings field: help, low, high, step, unit, choices, label, and more=True for what belongs under
'More settings' (see genai_lab.settings).
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeVar

import gradio as gr

from genai_lab.settings import SettingField, field_of, fields_of

Settings = TypeVar("Settings")
Values = Mapping[str, Any]  # what inputs hold, by name
Updates = dict[str, Any]  # a new value or gr.update(...), by name
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\t": "\\t"}


def setting_names(cls: type[Any]) -> list[str]:
    """The fields of a settings dataclass as they are drawn: those under 'More settings' last."""
    return [item.name for item in sorted(fields_of(cls), key=lambda item: item.more)]


def setting_label(cls: type[Any], name: str) -> str:
    """The label of a field without its unit, as it stands in a sentence."""
    label = field_of(cls, name).label
    return label if label[1:2].isupper() else label[:1].lower() + label[1:]


def former_names(*classes: type[Any]) -> dict[str, str]:
    """Present names of settings by their former ones, for drafts of earlier versions."""
    return {former: item.name for cls in classes for item in fields_of(cls) for former in item.renamed_from}


def read_settings(cls: type[Settings], values: Values, **fixed: Any) -> Settings:
    """The dataclass from values by name, whatever else is among them; a field without a value has its default.

    The dataclass raises its own LabError for a value outside its range.
    """
    present = {item.name: _from_input(values[item.name], item) for item in fields_of(cls) if item.name in values}
    return cls(**present | fixed)


def write_settings(settings: Any, names: Iterable[str] | None = None) -> Updates:
    """The values that put `settings` into their inputs, or into `names` of them."""
    selected = setting_names(type(settings)) if names is None else names
    return {name: _to_input(getattr(settings, name)) for name in selected}


def draw_settings(
    cls: type[Any],
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
    by_name = {item.name: item for item in fields_of(cls)}
    selected = [by_name[name] for name in (names if names is not None else by_name)]
    first = [item for item in selected if not (more and item.more)]
    further = [item for item in selected if item not in first]
    inputs: dict[str, gr.components.Component] = {}
    if first and across > 1:
        for start in range(0, len(first), across):
            with gr.Row():
                for item in first[start : start + across]:
                    inputs[item.name] = _input(item, prefix, slides=False)
    elif first:
        with gr.Group():
            inputs |= {item.name: _input(item, prefix) for item in first}
    if further:
        with gr.Accordion(more, open=False, elem_id=f"{prefix}-more"), gr.Group():
            inputs |= {item.name: _input(item, prefix) for item in further}
    return inputs


def _input(item: SettingField, prefix: str, slides: bool = True) -> gr.components.Component:
    default = _default(item)
    common: dict[str, Any] = {
        "label": item.label + (f" ({item.unit})" if item.unit and item.unit not in item.name else ""),
        "info": item.help or None,
        "elem_id": f"{prefix}-{item.name.replace('_', '-')}",
        "interactive": True,
    }
    if item.choices:
        return gr.Dropdown(list(item.choices), value=default, **common)
    if item.role:
        return gr.Dropdown([default] if default else [""], value=default, allow_custom_value=True, **common)
    if item.base is bool:
        return gr.Checkbox(default, **common)
    if item.base is tuple:
        return gr.Textbox(
            _to_input(default), lines=1, max_lines=6, placeholder="one per line; \\n is a line break", **common
        )
    if item.base in (int, float):
        return _number(item, common, slides)
    return gr.Textbox(default, **common)


def _default(item: SettingField) -> Any:
    return None if item.default is MISSING else item.default


def _number(item: SettingField, common: dict[str, Any], slides: bool) -> gr.components.Component:
    low, high, precision = item.low, item.high, 0 if item.base is int else None
    if item.optional or low is None or high is None or not slides:
        return gr.Number(_default(item), precision=precision, **common)
    step = item.step or (1 if item.base is int else None)
    if step and item.base is float:
        low = round(math.ceil(round(low / step, 6)) * step, 6)
    return gr.Slider(low, high, _default(item), step=step, precision=precision, **common)


def _from_input(value: Any, item: SettingField) -> Any:
    if item.base is tuple:
        return tuple(_unescape(line) for line in (value or "").split("\n") if line)
    if value is None or value == "":
        return None if item.optional else value
    if item.base is int and isinstance(value, float) and value.is_integer():
        return int(value)
    return float(value) if item.base is float and isinstance(value, int) else value


def _to_input(value: Any) -> Any:
    """A tuple as lines; a line break within a text is written \\n."""
    if not isinstance(value, tuple | list):
        return value
    return "\n".join(re.sub(r"[\\\n\t]", lambda match: _ESCAPES[match[0]], text) for text in value)


def _unescape(line: str) -> str:
    plain = {escape: character for character, escape in _ESCAPES.items()}
    return re.sub(r"\\[\\nt]", lambda match: plain[match[0]], line)

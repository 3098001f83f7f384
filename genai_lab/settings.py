"""Settings as frozen dataclasses, declared, checked and read from a mapping in one way.

A field is declared with `setting`; `check_settings` in `__post_init__` holds values to their types and ranges;
`read_settings` builds the dataclass from YAML, JSON, a form, the command line or a database row. All errors are a
BadSetting of one sentence. A renamed field lists its old names under `renamed_from`, so that whatever was stored
before still opens. Forms and options are built from `fields_of`.
"""

import difflib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

from genai_lab.errors import BadSetting, UnknownSetting

Settings = TypeVar("Settings")
TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


def setting(
    default: Any = MISSING,
    help: str = "",
    low: float | None = None,
    high: float | None = None,
    *,
    factory: Callable[[], Any] | None = None,
    renamed_from: Sequence[str] = (),
    opposite_of: Sequence[str] = (),
    renamed_values: Mapping[str, str] | None = None,
    **metadata: Any,
) -> Any:
    """A field of a settings dataclass.

    `renamed_from` are other names that are read, most of them old; `opposite_of` are names of which it is the negation;
    `renamed_values` maps old values to new ones. Further metadata is for forms: `label`, `step`, `unit`, `choices` and
    `more` (shown under "More settings"), `role` (the value names a model of the catalogue with this role).
    """
    data = {
        "help": help,
        "low": low,
        "high": high,
        "renamed_from": tuple(renamed_from),
        "opposite_of": tuple(opposite_of),
        "renamed_values": dict(renamed_values or {}),
        **metadata,
    }
    if factory is not None:
        return field(default_factory=factory, metadata=data)
    return field(metadata=data) if default is MISSING else field(default=default, metadata=data)


@dataclass(frozen=True)
class SettingField:
    """One field with its metadata, typed. `type` is the type without None, `base` its class (tuple for tuple[...])."""

    name: str
    type: Any
    base: type
    optional: bool
    default: Any
    label: str
    help: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    unit: str = ""
    choices: tuple[Any, ...] = ()
    more: bool = False
    role: str = ""  # that a model has whose name is the value
    renamed_from: tuple[str, ...] = ()
    opposite_of: tuple[str, ...] = ()
    renamed_values: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that is read as this field."""
        return (self.name, *self.renamed_from, *self.opposite_of)

    @property
    def items(self) -> Any:
        """The type of a tuple's items, None for other types."""
        return typing.get_args(self.type)[0] if self.base is tuple and typing.get_args(self.type) else None

    @property
    def rule(self) -> str:
        """The range in words: "a whole number from 1 to 16"."""
        noun = "a whole number" if self.base is int else "a number"
        if self.low is None or self.high is None:
            ends = "" if self.low is None else f" of at least {_number(self.low)}"
            return noun + (ends if self.high is None else f" of at most {_number(self.high)}")
        return f"{noun} from {_number(self.low)} to {_number(self.high)}"


def fields_of(cls: type[Any]) -> tuple[SettingField, ...]:
    """The fields of a settings dataclass in their order."""
    return _fields_of(cls)  # type: ignore[arg-type]  # mypy: a class with type variables is not Hashable


@lru_cache(maxsize=256)
def _fields_of(cls: type[Any]) -> tuple[SettingField, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_field_of(item.name, hints[item.name], item) for item in fields(cls))


def field_of(cls: type, name: str, owner: str = "") -> SettingField:
    """The field with this name, present or other; raises UnknownSetting, which proposes the nearest name."""
    known = fields_of(cls)
    for item in known:
        if name in item.names:
            return item
    names = {alias: item.name for item in known for alias in item.names}
    nearest = difflib.get_close_matches(str(name), names, n=1)
    raise UnknownSetting(
        str(name), owner or cls.__name__, [item.name for item in known], names[nearest[0]] if nearest else None
    )


def present_names(cls: type, values: Mapping[str, Any], owner: str = "") -> dict[str, Any]:
    """The same values under the present names and with present values; raises UnknownSetting and BadSetting."""
    renamed: dict[str, Any] = {}
    for name, value in values.items():
        item = field_of(cls, name, owner)
        if item.name in renamed:
            other = next(alias for alias in item.names[1:] if alias in values)
            raise BadSetting(_of(other, owner), values[other], f"left out, since {item.name} is the same setting")
        if name in item.opposite_of and isinstance(value, bool):
            value = not value
        renamed[item.name] = item.renamed_values.get(value, value) if isinstance(value, str) else value
    return renamed


def read_settings(cls: type[Settings], values: Mapping[str, Any], owner: str = "") -> Settings:
    """The dataclass from a mapping; a field that is missing has its default.

    Lists become tuples, one text becomes a tuple of it, 3.0 becomes 3 for a whole number, and mappings become nested
    settings. Raises BadSetting for what is unknown, of the wrong type or out of range, naming the owner if given.
    """
    if not isinstance(values, Mapping):
        raise BadSetting(owner or cls.__name__, values, "a mapping of settings")
    read = {
        name: _converted(field_of(cls, name).type, value, _of(name, owner))
        for name, value in present_names(cls, values, owner).items()
    }
    for item in fields_of(cls):
        if item.default is MISSING and item.name not in read:
            raise BadSetting(_of(item.name, owner), None, "given; it has no default")
    try:
        return cls(**read)
    except BadSetting as problem:
        if not owner or problem.name.endswith(f" of {owner}"):
            raise
        raise BadSetting(_of(problem.name, owner), problem.value, problem.rule) from None


def parse_setting(cls: type, name: str, text: str, owner: str = "") -> Any:
    """A value from text, as a command line gives it; items of a list are separated by commas."""
    item = field_of(cls, name, owner)
    if item.optional and text.lower() in ("", "none", "null"):
        return None
    if item.base is tuple:
        return tuple(_parsed(item, item.items or str, part.strip(), owner) for part in text.split(",") if part.strip())
    return _parsed(item, item.base, text, owner)


def check_settings(settings: Any) -> None:
    """Raises BadSetting for the first field whose value has the wrong type or lies outside its range or choices."""
    for item in fields_of(type(settings)):
        _check(item, getattr(settings, item.name))


def as_mapping(settings: Any) -> dict[str, Any]:
    """The settings as JSON and YAML hold them: tuples as lists, nested settings as mappings."""
    return {item.name: _plain(getattr(settings, item.name)) for item in fields(settings)}


def label_of(name: str) -> str:
    """top_k -> Top-k, max_new_tokens -> Max new tokens."""
    head, _, tail = name.rpartition("_")
    text = f"{head}-{tail}" if head and len(tail) == 1 else name
    return text.replace("_", " ").capitalize()


def _field_of(name: str, hint: Any, item: Any) -> SettingField:
    parts = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    kind = next(part for part in parts if part is not type(None))
    literals = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    base = type(literals[0]) if literals else typing.get_origin(kind) or kind
    default = item.default_factory() if item.default_factory is not MISSING else item.default
    data = {key: value for key, value in item.metadata.items() if key in SettingField.__dataclass_fields__}
    described: dict[str, Any] = {"label": label_of(name), "choices": literals, **data}
    described["choices"] = tuple(described["choices"])
    return SettingField(
        **described,
        name=name,
        type=kind,
        base=base if isinstance(base, type) else object,
        optional=type(None) in parts,
        default=default,
    )


def _check(item: SettingField, value: Any) -> None:
    if value is None and item.optional:
        return
    if item.choices and value not in item.choices:
        raise BadSetting(item.name, value, f"one of {', '.join(map(str, item.choices))}")
    if item.base is bool and not isinstance(value, bool):
        raise BadSetting(item.name, value, "true or false")
    if item.base is str and not isinstance(value, str):
        raise BadSetting(item.name, value, "text; write it in quotes")
    if item.base is dict and not (isinstance(value, dict) and all(isinstance(key, str) for key in value)):
        raise BadSetting(item.name, value, "settings whose names are text")
    if item.base is tuple:
        _check_items(item, value)
    if item.base in (int, float) and (
        not _is_number(value, item.base)
        or not (item.low is None or value >= item.low)
        or not (item.high is None or value <= item.high)
    ):
        raise BadSetting(item.name, value, item.rule)


def _check_items(item: SettingField, value: Any) -> None:
    if item.items is str and not (isinstance(value, tuple) and all(isinstance(part, str) for part in value)):
        raise BadSetting(item.name, value, "a list of texts; write each in quotes")
    if item.items is int and not (isinstance(value, tuple) and all(_is_number(part, int) for part in value)):
        raise BadSetting(item.name, value, "a list of whole numbers")
    if not isinstance(value, tuple):
        raise BadSetting(item.name, value, "a list")


def _is_number(value: Any, base: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, int if base is int else (int, float)):
        return False
    return bool(value == value)  # NaN is in no range


def _converted(kind: Any, value: Any, name: str) -> Any:
    base = typing.get_origin(kind) or kind
    if base is int and isinstance(value, float) and value.is_integer():
        return int(value)
    if is_dataclass(base) and isinstance(value, Mapping):
        return read_settings(typing.cast(type, base), value, name)
    if base is tuple:
        inner = typing.get_args(kind)
        if isinstance(value, str) and inner and inner[0] is str:
            return (value,)
        if isinstance(value, list | tuple):
            return tuple(_converted(inner[0], part, name) for part in value) if inner else tuple(value)
    return value


def _parsed(item: SettingField, base: Any, text: str, owner: str) -> Any:
    if base is bool:
        if text.lower() not in (*TRUE, *FALSE):
            raise BadSetting(_of(item.name, owner), text, "true or false")
        return text.lower() in TRUE
    if base in (int, float):
        try:
            return base(text)
        except ValueError:
            raise BadSetting(_of(item.name, owner), text, item.rule) from None
    return item.renamed_values.get(text, text)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return as_mapping(value)
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


def _of(name: str, owner: str) -> str:
    return f"{name} of {owner}" if owner else name


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:g}"

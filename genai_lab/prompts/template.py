"""A template: the four parts of a prompt as Jinja2 texts, and the columns that fill their slots."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from genai_lab.errors import BadSetting, TemplateError
from genai_lab.prompts.sandbox import SLOTS_SECONDS, sandbox

if TYPE_CHECKING:
    from genai_lab.data import Example

PARTS = ("system", "instruction", "shot", "separator")
FILLED = PARTS[:3]
ANSWERS = ("reference", "references", "label")
ALWAYS = (*ANSWERS, "labels")


@dataclass(frozen=True)
class Template:
    """What a prompt is made of: system, then the shots, then the instruction, with the separator between them.

    `instruction` ends where the completion begins. `shot` is a solved example; empty, it is the instruction with
    ' {{ reference }}' behind it. A slot is the name of a column or of a role; a shot may also use reference (the
    first), references and label, and every part labels, all labels of the dataset in order.
    """

    system: str = field(default="", metadata={"help": "Who answers and how; comes first. May stay empty."})
    instruction: str = field(
        default="", metadata={"help": "The question about one row, up to where the answer begins."}
    )
    shot: str = field(
        default="", metadata={"help": "One solved example. Empty: the instruction and its reference, a space between."}
    )
    separator: str = field(default="\n\n", metadata={"help": "Stands between the parts of a plain prompt."})

    def __post_init__(self) -> None:
        for name in PARTS:
            text = getattr(self, name)
            if not isinstance(text, str):
                raise BadSetting(name, text, "a text")
            try:
                text.encode()
            except UnicodeEncodeError as problem:
                raise TemplateError(
                    f"The {name} holds half a character (a lone surrogate) at position {problem.start}; delete it."
                ) from None
        if not self.instruction.strip():
            raise TemplateError("The instruction is empty; write what is asked about a row, such as {{ input }}.")
        if len(self.separator) > 1000:
            raise BadSetting("separator", f"{len(self.separator):,} characters long", "at most 1,000 characters long")

    @property
    def solved(self) -> str:
        """The shot's own text, or the one that an empty shot stands for."""
        return self.shot or self.instruction + " {{ reference }}"

    @property
    def texts(self) -> dict[str, str]:
        """The parts that are filled, by name."""
        return {"system": self.system, "instruction": self.instruction, "shot": self.solved}

    @property
    def slots(self) -> tuple[str, ...]:
        """What must come from a row, sorted; raises TemplateError for a template that can never be filled."""
        return tuple(sorted({name for names in self.slots_by_part.values() for name in names} - set(ALWAYS)))

    @property
    def slots_by_part(self) -> dict[str, tuple[str, ...]]:
        """Names wanted by system, instruction and shot, those that every example has among them."""
        return {part: tuple(names) for part, names in _slots(tuple(self.texts.items())).items()}

    @property
    def stop(self) -> tuple[str, ...]:
        """What ends a completion after plain shots: the separator, which a model that goes on writes next."""
        return (self.separator,) if self.separator else ()

    @property
    def content_hash(self) -> str:
        """SHA-256 of all parts, 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()

    def as_dict(self) -> dict[str, str]:
        return asdict(self)

    @classmethod
    def from_dict(cls, parts: Mapping[str, Any]) -> "Template":
        """From parts by name; raises BadSetting for a name that is no part."""
        for name in parts:
            if name not in PARTS:
                raise BadSetting("part", name, f"one of {', '.join(PARTS)}")
        return cls(**parts)


@dataclass(frozen=True)
class Binding:
    """Which columns fill a slot (several are joined by line breaks), and all labels of the dataset, in order.

    A slot that is not named here takes the column of its own name, and `input` without one the example's input.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def fill(self, slot: str, example: "Example") -> str | None:
        """The slot's text from a row, None where the row lacks a column."""
        if slot == "input" and (example.messages or (slot not in self.columns and slot not in example.fields)):
            return example.input or None
        values = [example.fields.get(name) for name in self.columns.get(slot, (slot,))]
        return None if None in values else "\n".join(str(text) for text in values)


def bind(
    template: Template,
    columns: Sequence[str],
    roles: Mapping[str, Sequence[str]] | None = None,
    labels: Iterable[str] = (),
) -> Binding:
    """Finds a column for every slot: the role of that name, a column of that name, or one whose name is spelt so.

    A role that is given comes first, whatever the columns are called. A conversation is an input too.

    Raises TemplateError for a slot without a column, and for one that would give the answer away.
    """
    roles = roles or {}
    spelt = {as_slot(name): name for name in reversed(columns)}
    columns_by_slot: dict[str, tuple[str, ...]] = {}
    for slot in template.slots:
        role_columns = roles.get(slot) or (roles.get("messages") if slot == "input" else None)
        if role_columns:
            columns_by_slot[slot] = tuple(role_columns)
        elif slot in columns:
            columns_by_slot[slot] = (slot,)
        elif slot in spelt:
            columns_by_slot[slot] = (spelt[slot],)
        else:
            known_columns = ", ".join(
                dict.fromkeys([*columns, *(role for role, role_columns in roles.items() if role_columns)])
            )
            raise TemplateError(
                f"The template asks for {slot!r}, which the dataset does not have. It has: {known_columns}."
            )
    _refuse_answers(template, columns_by_slot, roles)
    return Binding(columns_by_slot, tuple(labels))


def as_slot(column: str) -> str:
    """A column's name as a slot can be called: 'Review Text' -> review_text."""
    return re.sub(r"\W+", "_", column.strip()).strip("_").lower()


def _refuse_answers(
    template: Template, columns_by_slot: dict[str, tuple[str, ...]], roles: Mapping[str, Sequence[str]]
) -> None:
    answers = {name: role for role in ("reference", "label") for name in roles.get(role, ())}
    if not roles.get("reference"):
        answers |= dict.fromkeys(roles.get("messages", ()), "answer")
    for part in ("system", "instruction"):
        for slot in template.slots_by_part[part]:
            columns = () if slot == "input" and not roles.get("input") else columns_by_slot.get(slot, ())
            answer_role = slot if slot in ANSWERS else next((answers[c] for c in columns if c in answers), None)
            if answer_role:
                raise TemplateError(
                    f"The {part} shows {slot!r}, which is the {answer_role} that the model should find; "
                    "only the shot may hold it."
                )


@lru_cache(maxsize=512)
def _slots(texts: tuple[tuple[str, str], ...]) -> dict[str, list[str]]:
    reply = sandbox().ask({"op": "slots", "parts": dict(texts)}, SLOTS_SECONDS)
    if "problem" in reply:
        raise as_error(reply)
    return dict(reply["slots"])


def as_error(reply: Mapping[str, Any], where: str = "") -> TemplateError:
    """The sandbox's problem as a sentence; `where` names the row."""
    part = f"The {reply['part']}" if reply.get("part") else "The template"
    problem = str(reply["problem"]).rstrip(".")
    return TemplateError(f"{part} {problem}{f' ({where})' if where else ''}.")

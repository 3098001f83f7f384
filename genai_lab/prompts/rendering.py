"""Rows into prompts: many at once, in the sandbox, as plain text or as the messages of a chat."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genai_lab.data.conversations import split_question, split_system
from genai_lab.errors import BadSetting, TemplateError
from genai_lab.models import Mode, Prompt
from genai_lab.prompts.sandbox import sandbox
from genai_lab.prompts.template import ALWAYS, Binding, Template, as_error

if TYPE_CHECKING:
    from genai_lab.data import Example

ROWS_AT_ONCE = 64
CHARACTERS_AT_ONCE = 4_000_000
MOST_CHARACTERS = 200_000_000
Message = dict[str, str]


@dataclass(frozen=True)
class Rendered:
    """A prompt: `text` in plain form, `messages` in chat form (empty where plain was asked for).

    `shared` is the number of leading characters of `text`, or of leading messages, common to all rows of the call, 0
    for a single one.
    """

    text: str
    messages: tuple[Message, ...] = ()
    shared: int = 0

    def prompt(self, mode: Mode = "completion") -> Prompt:
        """What a model reads; with messages it is in chat mode."""
        if self.messages:
            return Prompt(messages=self.messages, mode="chat", shared=self.shared)
        return Prompt(text=self.text, mode=mode, shared=self.shared)


@dataclass(frozen=True)
class Filled:
    """The filled parts of one prompt; `asked` is the instruction filled with each shot, `turns` are the row's own turns
    before its last question (both in chat only).
    """

    system: str
    shots: tuple[str, ...]
    asked: tuple[str, ...]
    instruction: str
    separator: str
    chat: bool
    turns: tuple[Message, ...] = ()

    def rendered(self, k: int | None = None) -> Rendered:
        """With the first `k` shots, or all of them."""
        shots = self.shots[:k]
        text = self.separator.join([*([self.system] if self.system else []), *shots, self.instruction])
        return Rendered(text, self._messages(shots) if self.chat else ())

    def _messages(self, shots: tuple[str, ...]) -> tuple[Message, ...]:
        """A shot that begins with the instruction becomes a turn of user and assistant; others stand as text."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        turns = list(zip(self.asked, shots, strict=False))
        if all(shot.startswith(question) and shot[len(question) :].strip() for question, shot in turns):
            for question, shot in turns:
                messages += [{"role": "user", "content": question}, _said("assistant", shot[len(question) :].strip())]
            return (*messages, *self.turns, _said("user", self.instruction))
        return (*messages, *self.turns, _said("user", self.separator.join([*shots, self.instruction])))


@dataclass(frozen=True)
class Fitted:
    """A prompt with as many shots as the context holds: `k` of the `wanted` ones, `tokens` in all."""

    rendered: Rendered
    k: int
    wanted: int
    tokens: int | None


def render(
    template: Template,
    examples: "Sequence[Example]",
    shots: "Sequence[Sequence[Example]]" = (),
    *,
    chat: bool,
    binding: Binding | None = None,
) -> list[Rendered]:
    """One prompt an example; `shots` holds each example's own, or nothing for none.

    Raises TemplateError in one sentence, which names the row; a template that takes too long is stopped within 2 s.
    """
    return with_shared([filled.rendered() for filled in fill(template, examples, shots, chat=chat, binding=binding)])


def fill(
    template: Template,
    examples: "Sequence[Example]",
    shots: "Sequence[Sequence[Example]]" = (),
    *,
    chat: bool,
    binding: Binding | None = None,
) -> list[Filled]:
    """The parts of every prompt, so that it can be put together with fewer shots."""
    shots = shots or [()] * len(examples)
    if len(shots) != len(examples):
        raise BadSetting("shots", f"given for {len(shots)} rows", f"given for all {len(examples)} or for none")
    result: list[Filled] = []
    size = 0
    for chunk in _chunks(_Job(template, binding or Binding(), chat), examples, shots):
        result += chunk
        size += sum(len(filled.instruction) + len(filled.system) for filled in chunk)
        if size > MOST_CHARACTERS:
            raise TemplateError(f"The prompts together have more than {MOST_CHARACTERS:,} characters; take fewer rows.")
    return result


def with_shared(rendered: Sequence[Rendered]) -> list[Rendered]:
    """The same prompts with the length of their common beginning, in characters or in messages of a chat."""
    if len(rendered) < 2:
        return list(rendered)
    if any(prompt.messages for prompt in rendered):
        shared = _common_messages([prompt.messages for prompt in rendered])
        return [replace(prompt, shared=shared) for prompt in rendered]
    texts = [prompt.text for prompt in rendered]
    shared = _common(min(texts), max(texts))
    return [replace(prompt, shared=shared) for prompt in rendered]


def fitting(
    filled: Sequence[Filled],
    count: Callable[[Prompt], int | None],
    room: int | None,
    mode: Mode = "completion",
    *,
    same: bool = False,
) -> list[Fitted]:
    """Every prompt with the most shots that `room` tokens hold; with `same`, all with as many as the tightest one.

    `count` is a generator's count_tokens; where it or the room is not known, all shots stay. A prompt that does not
    fit without any shot comes back with k = 0 and its true number of tokens.
    """
    fits = [_fit(prompt, count, room, mode) for prompt in filled]
    least = min((prompt.k for prompt in fits), default=0)
    if same and any(prompt.k != least for prompt in fits):
        fits = [_with(prompt, count, mode, least) for prompt in filled]
    shared = with_shared([prompt.rendered for prompt in fits])
    return [replace(prompt, rendered=rendered) for prompt, rendered in zip(fits, shared, strict=True)]


def _common_messages(chats: Sequence[tuple[dict[str, str], ...]]) -> int:
    """How many leading messages all chats share; the last one of each is its own."""
    fewest = min(len(messages) for messages in chats) - 1
    first = chats[0]
    return next((n for n in range(fewest) if any(messages[n] != first[n] for messages in chats)), max(0, fewest))


def _common(a: str, b: str) -> int:
    """The number of leading characters that are equal; of the least and the greatest text it is that of all."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


def _fit(filled: Filled, count: Callable[[Prompt], int | None], room: int | None, mode: Mode) -> Fitted:
    complete = _with(filled, count, mode, len(filled.shots))
    if room is None or complete.tokens is None or complete.tokens <= room:
        return complete
    low, high = 0, len(filled.shots)
    best = _with(filled, count, mode, 0)
    while high - low > 1:
        middle = (low + high) // 2
        candidate = _with(filled, count, mode, middle)
        if (candidate.tokens or 0) <= room:
            low, best = middle, candidate
        else:
            high = middle
    return best


def _with(filled: Filled, count: Callable[[Prompt], int | None], mode: Mode, k: int) -> Fitted:
    rendered = filled.rendered(k)
    return Fitted(rendered, k, len(filled.shots), count(rendered.prompt(mode)))


class _Job:
    """What the rows of one call have in common."""

    def __init__(self, template: Template, binding: Binding, chat: bool) -> None:
        self.template, self.binding, self.chat = template, binding, chat
        slots = template.slots_by_part
        self.of_row = set(slots["system"]) | set(slots["instruction"])
        self.of_shot = set(slots["shot"]) | (set(slots["instruction"]) if chat else set())

    def with_turns(self, example: "Example") -> bool:
        """Whether the row's earlier turns stand in the chat as turns, and the slot `input` is its last question."""
        return self.chat and "input" in self.of_row and bool(example.messages)

    def turns(self, example: "Example") -> tuple[Message, ...]:
        if not self.with_turns(example):
            return ()
        return tuple(turn.as_dict() for turn in split_question(example.messages)[0])

    def row(self, example: "Example") -> dict[str, Any]:
        return self._values(example, self.of_row, solved=False)

    def shot(self, example: "Example") -> dict[str, Any]:
        return self._values(example, self.of_shot, solved=True)

    def _values(self, example: "Example", slots: set[str], *, solved: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name in slots:
            value = self._always(example, name, solved) if name in ALWAYS else self.binding.fill(name, example)
            if name == "input" and self.with_turns(example) and not solved:
                value = split_question(example.messages)[1]
            if value is not None:
                values[name] = value
        return values

    def _always(self, example: "Example", name: str, solved: bool) -> Any:
        if name == "labels":
            return list(self.binding.labels)
        if not solved:
            return None
        if name == "label":
            return example.label
        references = list(example.references) or ([example.label] if example.label is not None else [])
        return references if name == "references" else next(iter(references), None)


def _chunks(job: _Job, examples: "Sequence[Example]", shots: "Sequence[Sequence[Example]]") -> Iterator[list[Filled]]:
    start = 0
    while start < len(examples):
        end, size = start, 0
        rows: list[dict[str, Any]] = []
        solved: list[dict[str, Any]] = []
        shot_index: dict[int, int] = {}
        while end < len(examples) and end - start < ROWS_AT_ONCE and size < CHARACTERS_AT_ONCE:
            rows.append(job.row(examples[end]))
            size += _size(rows[-1])
            for shot in shots[end]:
                if id(shot) not in shot_index:
                    shot_index[id(shot)] = len(solved)
                    solved.append(job.shot(shot))
                    size += _size(solved[-1])
            end += 1
        yield _ask(
            job,
            rows,
            solved,
            examples[start:end],
            [[shot_index[id(s)] for s in row_shots] for row_shots in shots[start:end]],
        )
        start = end


def _ask(
    job: _Job,
    rows: list[dict[str, Any]],
    solved: list[dict[str, Any]],
    examples: "Sequence[Example]",
    shots_by_row: list[list[int]],
) -> list[Filled]:
    request = {"op": "fill", "parts": job.template.texts, "chat": job.chat, "rows": rows, "shots": solved}
    reply = sandbox().ask(request)
    if "problem" in reply:
        row = reply.get("row")
        raise as_error(reply, f"row {examples[row].key + 1}" if row is not None and reply["part"] != "shot" else "")
    return [
        Filled(
            reply["systems"][index] or split_system(examples[index].messages)[0],
            tuple(reply["shots"][i] for i in shot_indices),
            tuple(reply["asked"][i] for i in shot_indices) if job.chat else (),
            reply["instructions"][index],
            job.template.separator,
            job.chat,
            job.turns(examples[index]),
        )
        for index, shot_indices in enumerate(shots_by_row)
    ]


def _size(values: dict[str, Any]) -> int:
    return sum(len(value) for value in values.values())


def _said(role: str, content: str) -> Message:
    return {"role": role, "content": content}

"""Templates kept by name: immutable versions with a message, tags that move, the difference between two."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy.exc import IntegrityError

from genai_lab.errors import BadSetting, DuplicateName, LabError, TemplateError, UnknownName
from genai_lab.prompts import PARTS, Template, bind
from genai_lab.prompts.template import ALWAYS
from genai_lab.views import Linked, View
from storage import templates as queries
from storage.tables import Template as TemplateRow
from storage.tables import TemplateVersion

if TYPE_CHECKING:
    from genai_lab.context import LabContext

NAME = re.compile(r"[^\W_][\w .:+-]{0,99}")
TAG = re.compile(r"[^\W\d_][\w.-]{0,39}")
LONGEST_MESSAGE = 500
# Words in the names of a dataset and its columns that tell which task it holds, the surest task first.
TASK_WORDS: dict[str, tuple[str, ...]] = {
    "summarise": (
        "summary",
        "summaries",
        "summarization",
        "summarisation",
        "highlights",
        "tldr",
        "abstract",
        "headline",
    ),
    "translate": ("translation", "translate", "en", "fr", "de", "es", "english", "french", "german"),
    "answer": ("question", "context", "passage", "qa"),
    "dialogue": ("reply", "response", "request", "conversation", "messages", "instruction", "chosen"),
    "other": ("story", "stories"),
}


@dataclass(frozen=True)
class TemplateView(View, Linked):
    """One version. `id` is the version's, `template` the name of all versions, `name` this one's ("classify@2")."""

    _computed = ("name",)
    id: int
    template: str
    number: int
    value: Template
    slots: tuple[str, ...]
    tags: tuple[str, ...]
    message: str
    task: str
    created_at: datetime
    content_hash: str
    newest: int
    archived: bool

    @property
    def name(self) -> str:
        return f"{self.template}@{self.number}"

    @property
    def address(self) -> str:
        return f"/prompts?template={quote(self.name, safe='')}"


def save(lab: "LabContext", name: str, template: Template, *, task: str = "", message: str = "") -> TemplateView:
    """Keeps the template as the next version of `name`; an equal text that stands is returned instead.

    Raises LabError for a bad name and for a template that can never be filled. A template without a task takes
    `task`, and one that was archived is in use again.
    """
    name, message = _checked_name(name), message.strip()
    if len(message) > LONGEST_MESSAGE:
        raise BadSetting("message", f"{len(message):,} characters long", f"at most {LONGEST_MESSAGE} characters long")
    slots = template.slots
    try:
        with lab.database.session() as session:
            row = queries.template_named(session, name) or queries.add_template(session, name, task.strip())
            queries.restore_template(row)
            row.task = row.task or task.strip()
            version = _with_hash(row, template.content_hash)
            if version is None:
                version = queries.add_version(session, row, **_fields(template, slots, message))
            return _view(row, version)
    except IntegrityError:
        raise LabError(f"Somebody saved {name!r} at the same moment; save again.") from None


def show(lab: "LabContext", name: str) -> TemplateView:
    """The newest version of "name", or the one that "name@2" or "name@tag" names; raises UnknownName."""
    base, _, which = name.strip().partition("@")
    with lab.database.reading() as session:
        row = _found(lab, queries.template_named(session, base), base)
        return _view(row, _version(row, which))


def by_id(lab: "LabContext", version_id: int) -> TemplateView:
    with lab.database.reading() as session:
        version = queries.version_by_id(session, version_id)
        if version is None:
            raise LabError(f"There is no template version {version_id}.")
        return _view(version.template, version)


def find(lab: "LabContext", *, search: str = "", task: str = "", archived: bool = False) -> list[TemplateView]:
    """The newest version of every template whose name or task holds all words, by task and name."""
    with lab.database.reading() as session:
        rows = queries.find_templates(session, search, task, archived=archived)
        return [_view(row, row.versions[-1]) for row in rows if row.versions]


@dataclass(frozen=True)
class Suggestion(View):
    """A template beside a dataset: `fits` where every slot has a column, `suits` where it is meant for such data."""

    view: TemplateView
    fits: bool
    suits: bool


def for_dataset(lab: "LabContext", dataset: str | int) -> list[Suggestion]:
    """Every template's newest version, those that suit the dataset best first; raises LabError for no dataset.

    A template suits that the dataset can fill, and whose task is the dataset's. Those that name the dataset's own
    columns or labels come before general ones; what the dataset cannot fill comes last.
    """
    from genai_lab.services import datasets

    version = datasets.show(lab, dataset)
    columns, roles = version.column_names, version.roles
    labels = datasets.labels(lab, version.id)
    task = task_of(version.dataset, columns, roles)
    scored = []
    for view in find(lab):
        fits = _fits(view.value, columns, roles)
        suits = fits and view.task == task
        score = (suits, fits, _closeness(view, columns, roles, labels), fits and view.task == "other")
        scored.append((score, Suggestion(view, fits, suits)))
    return [suggestion for _, suggestion in sorted(scored, key=lambda pair: pair[0], reverse=True)]


def task_of(dataset: str, columns: Sequence[str], roles: Mapping[str, Sequence[str]]) -> str:
    """The task that the data are for, as the names of columns, then of the dataset, tell; empty where none does."""
    if roles.get("label"):
        return "classify"
    mapped = [name for role in ("reference", "input", "messages", "chosen") for name in roles.get(role, ())]
    for names in (mapped, columns, [dataset]):
        name_words = {word for name in names for word in re.findall(r"[a-z]+", name.lower())}
        for task, task_words in TASK_WORDS.items():
            if name_words & set(task_words):
                return task
    return ""


def _fits(template: Template, columns: Sequence[str], roles: Mapping[str, Sequence[str]]) -> bool:
    try:
        bind(template, columns, roles)
    except TemplateError:
        return False
    return True


def _closeness(
    view: TemplateView, columns: Sequence[str], roles: Mapping[str, Sequence[str]], labels: Sequence[str]
) -> int:
    """How closely a template speaks of this dataset: of its columns by name, and of its labels or all of them."""
    text = " ".join(view.value.texts.values()).lower()
    text_words = set(re.findall(r"\w+", re.sub(r"{{.*?}}", " ", text)))
    count = sum(slot in columns and slot != "input" for slot in view.slots)
    count += any(name.lower() in text_words for name in roles.get("input", ()))
    if labels:
        count += 3 * all(label.lower() in text_words for label in labels) + bool(re.search(r"{{\s*labels\b", text))
    return count


def versions(lab: "LabContext", name: str) -> list[TemplateView]:
    """All versions of a template, the newest first."""
    base = name.strip().partition("@")[0]
    with lab.database.reading() as session:
        row = _found(lab, queries.template_named(session, base), base)
        return [_view(row, version) for version in reversed(row.versions)]


def uses(lab: "LabContext", name: str) -> dict[int, int]:
    """How many runs read each version, by its number; versions that none has read are left out."""
    all_versions = versions(lab, name)
    with lab.database.reading() as session:
        counts = queries.runs_with(session, [view.id for view in all_versions])
    return {view.number: counts[view.id] for view in all_versions if view.id in counts}


def tag(lab: "LabContext", name: str, number: int, tag: str) -> TemplateView:
    """Puts the tag on this version and takes it off the one that had it."""
    tag = tag.strip()
    if not TAG.fullmatch(tag):
        raise BadSetting("tag", tag[:60], "1 to 40 letters, digits and . - _, a letter first")
    with lab.database.session() as session:
        row = _found(lab, queries.template_named(session, name), name)
        tagged = _version(row, str(number))
        for version in row.versions:
            remaining = [other for other in version.tags if other != tag]
            version.tags = [*remaining, tag] if version is tagged else remaining
        session.flush()
        return _view(row, tagged)


def untag(lab: "LabContext", name: str, tag: str) -> None:
    with lab.database.session() as session:
        row = _found(lab, queries.template_named(session, name), name)
        if not any(tag in version.tags for version in row.versions):
            raise LabError(f"No version of {name} has the tag {tag!r}.")
        for version in row.versions:
            version.tags = [other for other in version.tags if other != tag]


def diff(lab: "LabContext", a: str, b: str) -> str:
    """What changed from version `a` to version `b`, as a unified diff; empty where they are equal."""
    old, new = show(lab, a), show(lab, b)
    return difference(old.value, new.value, old.name, new.name)


def difference(old: Template, new: Template, old_name: str, new_name: str) -> str:
    """A unified diff of all parts, each under its name in brackets; empty where they are equal."""
    return "\n".join(difflib.unified_diff(_lines(old), _lines(new), old_name, new_name, lineterm="", n=3))


def copy(lab: "LabContext", name: str, new_name: str) -> TemplateView:
    """The version as the first one of a new template; raises DuplicateName."""
    view, new_name = show(lab, name), _checked_name(new_name)
    with lab.database.reading() as session:
        if queries.template_named(session, new_name) is not None:
            raise DuplicateName("template", new_name)
    return save(lab, new_name, view.value, task=view.task, message=f"Copied from {view.name}")


def archive(lab: "LabContext", name: str) -> None:
    """Takes the template off the lists; its runs keep it, and `restore` brings it back."""
    with lab.database.session() as session:
        queries.archive_template(_found(lab, queries.template_named(session, name), name))


def restore(lab: "LabContext", name: str) -> None:
    with lab.database.session() as session:
        queries.restore_template(_found(lab, queries.template_named(session, name), name))


def register_library(lab: "LabContext") -> None:
    """Puts the shipped templates into the database; what is there already is left alone."""
    from genai_lab.prompts import child
    from genai_lab.prompts.library import LIBRARY, MESSAGE

    with lab.database.reading() as session:
        hashes = queries.known_hashes(session)
    new = [entry for entry in LIBRARY if (entry.name, entry.template.content_hash) not in hashes]
    if not new:
        return
    with lab.database.session() as session:
        for entry in new:
            row = queries.template_named(session, entry.name) or queries.add_template(session, entry.name, entry.task)
            # These texts are the lab's own, so they are read here and no process is started for them.
            names = {slot for part, text in entry.template.texts.items() for slot in child.slots_of(part, text)}
            if _with_hash(row, entry.template.content_hash) is None:
                slots = tuple(sorted(names - set(ALWAYS)))
                queries.add_version(session, row, **_fields(entry.template, slots, MESSAGE))


def _fields(template: Template, slots: tuple[str, ...], message: str) -> dict[str, object]:
    return {
        "content_hash": template.content_hash,
        "parts": template.as_dict(),
        "slots": list(slots),
        "message": message,
        "tags": [],
    }


def _view(row: TemplateRow, version: TemplateVersion) -> TemplateView:
    return TemplateView(
        id=version.id,
        template=row.name,
        number=version.number,
        value=Template.from_dict(version.parts),
        slots=tuple(version.slots),
        tags=tuple(version.tags),
        message=version.message,
        task=row.task,
        created_at=version.created_at,
        content_hash=version.content_hash,
        newest=row.versions[-1].number,
        archived=row.archived_at is not None,
    )


def _with_hash(row: TemplateRow, content_hash: str) -> TemplateVersion | None:
    return next((version for version in row.versions if version.content_hash == content_hash), None)


def _version(row: TemplateRow, which: str) -> TemplateVersion:
    if not which:
        return row.versions[-1]
    for version in row.versions:
        if which == str(version.number) or which in version.tags:
            return version
    names = [str(version.number) for version in row.versions] + [t for version in row.versions for t in version.tags]
    raise UnknownName(f"version of {row.name}", which, names)


def _found(lab: "LabContext", row: TemplateRow | None, name: str) -> TemplateRow:
    if row is None or not row.versions:
        raise UnknownName("template", name, [view.template for view in find(lab)])
    return row


def _checked_name(name: str) -> str:
    name = name.strip()
    if not NAME.fullmatch(name):
        raise BadSetting("name", name[:100], "1 to 100 letters, digits and .-_:+ with a letter or digit first")
    return name


def _lines(template: Template) -> list[str]:
    lines = []
    for part in PARTS:
        text = getattr(template, part)
        if part == "separator":
            text = repr(text)[1:-1]
        lines += [f"[{part}]", *text.split("\n")]
    return lines

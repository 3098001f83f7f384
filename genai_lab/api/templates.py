"""Prompt templates and their versions."""

import hashlib
from typing import Any

from genai_lab.api.base import Table, name_of
from genai_lab.context import LabContext
from genai_lab.prompts import Template
from genai_lab.services import templates
from genai_lab.services.templates import TemplateView


class Templates:
    """All templates of the lab; each change is a new version, NAME@NUMBER."""

    def __init__(self, context: LabContext) -> None:
        self.context = context

    def __getitem__(self, name: str) -> TemplateView:
        return self.get(name)

    def get(self, name: str) -> TemplateView:
        """A version: NAME is the newest, NAME@2 the second, NAME@TAG the one with the tag."""
        return templates.show(self.context, name)

    def list(self, search: str = "", *, task: str = "", archived: bool = False) -> Table[TemplateView]:
        """The newest version of every template."""
        views = templates.find(self.context, search=search, task=task, archived=archived)
        return Table(views, _summary)

    def versions(self, name: str) -> Table[TemplateView]:
        return Table(templates.versions(self.context, name), _summary)

    def save(
        self, name: str, template: Template | str | None = None, *, task: str = "", message: str = "", **parts: str
    ) -> TemplateView:
        """The next version of NAME: a Template, an instruction, or parts (system, instruction, shot, separator).

        The same content is not saved twice.
        """
        if isinstance(template, str):
            parts = {"instruction": template, **parts}
        value = template if isinstance(template, Template) else Template.from_dict(parts)
        return templates.save(self.context, name, value, task=task, message=message)

    def tag(self, name: str, number: int, tag: str) -> TemplateView:
        """Puts a tag on a version; it leaves the one that had it."""
        return templates.tag(self.context, name, number, tag)

    def untag(self, name: str, tag: str) -> None:
        """Takes a tag away from whichever version of NAME has it."""
        templates.untag(self.context, name, tag)

    def copy(self, name: str, new_name: str) -> TemplateView:
        """A version as the first one of a new template."""
        return templates.copy(self.context, name, new_name)

    def diff(self, old: str, new: str) -> str:
        return templates.diff(self.context, old, new)

    def archive(self, name: str) -> None:
        templates.archive(self.context, name)

    def restore(self, name: str) -> None:
        templates.restore(self.context, name)

    def name_for(self, template: Any) -> str:
        """The name of a template given as name, view, Template or text with slots; the last two are saved first."""
        if isinstance(template, Template) or (isinstance(template, str) and "{{" in template):
            text = template if isinstance(template, str) else repr(template.as_dict())
            return self.save(f"inline-{hashlib.sha256(text.encode()).hexdigest()[:8]}", template).name
        return name_of(template)


def _summary(view: TemplateView) -> dict[str, Any]:
    return {"name": view.name, "task": view.task, "slots": ", ".join(view.slots), "tags": " ".join(view.tags)}

"""Queries on templates and their versions; they take a session and never commit."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from storage.tables import RunInput, Template, TemplateVersion


def template_named(session: Session, name: str) -> Template | None:
    """The template with all its versions, archived or not."""
    return session.scalar(select(Template).where(Template.name == name).options(selectinload(Template.versions)))


def find_templates(session: Session, search: str, task: str, *, archived: bool = False) -> list[Template]:
    """Templates in use, or archived ones, whose name, task or newest text holds every word; by task and name."""
    conditions: list[Any] = [Template.archived_at.is_not(None) if archived else Template.archived_at.is_(None)]
    if task:
        conditions.append(Template.task == task)
    for word in search.split():
        text = f"%{_escaped(word)}%"
        conditions.append(or_(Template.name.ilike(text, escape="\\"), Template.task.ilike(text, escape="\\")))
    rows = select(Template).where(*conditions).order_by(Template.task, Template.name)
    return list(session.scalars(rows.options(selectinload(Template.versions))))


def add_template(session: Session, name: str, task: str) -> Template:
    template = Template(name=name, task=task, versions=[])
    session.add(template)
    session.flush()
    return template


def add_version(session: Session, template: Template, **fields: Any) -> TemplateVersion:
    """The next version, with a number one above the highest."""
    number = max((version.number for version in template.versions), default=0) + 1
    version = TemplateVersion(number=number, **fields)
    template.versions.append(version)
    session.flush()
    return version


def version_by_id(session: Session, version_id: int) -> TemplateVersion | None:
    loading = selectinload(TemplateVersion.template).selectinload(Template.versions)
    return session.scalar(select(TemplateVersion).where(TemplateVersion.id == version_id).options(loading))


def known_hashes(session: Session) -> set[tuple[str, str]]:
    """(name, content hash) of every version."""
    pairs = select(Template.name, TemplateVersion.content_hash).join(TemplateVersion.template)
    return {(row.name, row.content_hash) for row in session.execute(pairs)}


def archive_template(template: Template) -> None:
    template.archived_at = datetime.now(UTC)


def restore_template(template: Template) -> None:
    template.archived_at = None


def runs_with(session: Session, version_ids: Sequence[int]) -> dict[int, int]:
    """How many runs read each of the versions."""
    counted = (
        select(RunInput.template_version_id, func.count())
        .where(RunInput.template_version_id.in_(version_ids))
        .group_by(RunInput.template_version_id)
    )
    return {version_id: count for version_id, count in session.execute(counted).all() if version_id is not None}


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")

"""Queries on datasets and their versions; they take a session and never commit."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from storage.tables import Dataset, DatasetVersion

VERSION_OF = DatasetVersion.dataset_id


def version(session: Session, version_id: int) -> DatasetVersion | None:
    return session.scalar(
        select(DatasetVersion).where(DatasetVersion.id == version_id).options(selectinload(DatasetVersion.dataset))
    )


def version_by_hash(session: Session, content_hash: str) -> DatasetVersion | None:
    statement = select(DatasetVersion).where(DatasetVersion.content_hash == content_hash)
    return session.scalar(statement.options(selectinload(DatasetVersion.dataset)))


def version_by_name(session: Session, name: str, number: int | None) -> DatasetVersion | None:
    """The numbered version of the dataset, or its newest."""
    statement = select(DatasetVersion).join(Dataset).where(Dataset.name == name)
    if number is not None:
        statement = statement.where(DatasetVersion.number == number)
    newest = statement.order_by(DatasetVersion.number.desc()).limit(1)
    return session.scalar(newest.options(selectinload(DatasetVersion.dataset)))


def add_version(session: Session, name: str, **fields: Any) -> DatasetVersion:
    """The next version of the dataset, which is made where there is none of that name."""
    dataset = session.scalar(select(Dataset).where(Dataset.name == name))
    if dataset is None:
        dataset = Dataset(name=name)
        session.add(dataset)
        session.flush()
    last = session.scalar(select(func.max(DatasetVersion.number)).where(DatasetVersion.dataset_id == dataset.id))
    version = DatasetVersion(dataset=dataset, number=(last or 0) + 1, **fields)
    session.add(version)
    session.flush()
    return version


def find_versions(
    session: Session, search: str, archived: bool, limit: int, offset: int, newest: bool = False
) -> tuple[list[DatasetVersion], int]:
    """Versions of datasets whose name holds every word, newest first, and how many there are.

    With `newest`, only the last version of each dataset.
    """
    statement = select(DatasetVersion).join(Dataset)
    if not archived:
        statement = statement.where(Dataset.archived_at.is_(None))
    for word in search.split():
        statement = statement.where(Dataset.name.icontains(word, autoescape=True))
    if newest:
        statement = statement.where(DatasetVersion.id.in_(select(func.max(DatasetVersion.id)).group_by(VERSION_OF)))
    total = session.scalar(select(func.count()).select_from(statement.subquery())) or 0
    rows = statement.order_by(DatasetVersion.id.desc()).limit(limit).offset(offset)
    return list(session.scalars(rows.options(selectinload(DatasetVersion.dataset)))), total


def versions_of(session: Session, name: str) -> list[DatasetVersion]:
    statement = select(DatasetVersion).join(Dataset).where(Dataset.name == name)
    newest = statement.order_by(DatasetVersion.number.desc())
    return list(session.scalars(newest.options(selectinload(DatasetVersion.dataset))))


def versions_by_source(session: Session, source_hash: str) -> list[DatasetVersion]:
    """Those made of a file of this hash, newest first."""
    statement = select(DatasetVersion).where(DatasetVersion.source_hash == source_hash)
    newest = statement.order_by(DatasetVersion.id.desc())
    return list(session.scalars(newest.options(selectinload(DatasetVersion.dataset))))


def dataset(session: Session, name: str) -> Dataset | None:
    return session.scalar(select(Dataset).where(Dataset.name == name))


def names(session: Session) -> list[str]:
    return list(session.scalars(select(Dataset.name).where(Dataset.archived_at.is_(None)).order_by(Dataset.name)))

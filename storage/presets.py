"""Queries on presets; they take a session and never commit."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import Preset


def all_presets(session: Session) -> list[Preset]:
    return list(session.scalars(select(Preset).order_by(Preset.name)))


def put_preset(session: Session, name: str, settings: dict[str, Any]) -> None:
    preset = session.scalar(select(Preset).where(Preset.name == name))
    if preset is None:
        session.add(Preset(name=name, settings=settings))
    else:
        preset.settings = settings


def drop_preset(session: Session, name: str) -> bool:
    preset = session.scalar(select(Preset).where(Preset.name == name))
    if preset is None:
        return False
    session.delete(preset)
    return True

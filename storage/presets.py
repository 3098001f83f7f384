"""Queries on the presets of the acting user; they take a session and never commit."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from storage.tables import Preset, acting_user_id


def all_presets(session: Session) -> list[Preset]:
    return list(session.scalars(select(Preset).where(Preset.user_id == acting_user_id()).order_by(Preset.name)))


def put_preset(session: Session, name: str, settings: dict[str, Any]) -> None:
    preset = _preset(session, name)
    if preset is None:
        session.add(Preset(name=name, settings=settings))
    else:
        preset.settings = settings


def drop_preset(session: Session, name: str) -> bool:
    preset = _preset(session, name)
    if preset is None:
        return False
    session.delete(preset)
    return True


def _preset(session: Session, name: str) -> Preset | None:
    return session.scalar(select(Preset).where(Preset.name == name, Preset.user_id == acting_user_id()))

"""Rows remember their user, and names are unique within their scope."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from storage import answering, presets, runs
from storage.database import Database
from storage.feedback_tables import Annotator, Assignment, Campaign, Item, Ranking
from storage.jobs import add_job
from storage.tables import OWNER_ID, Model, Preset, User

RUN: dict[str, Any] = {
    "kind": "generate", "settings": {}, "seed": 1, "code_revision": "", "dirty": False, "packages": {},
    "device": "cpu", "status": "finished",
}  # fmt: skip


@pytest.fixture
def session() -> Any:
    database = Database("sqlite://")
    database.upgrade()
    with database.session() as opened:
        yield opened


def test_a_new_lab_has_one_user(session: Session) -> None:
    assert [(user.id, user.name, user.role) for user in session.scalars(select(User))] == [(OWNER_ID, "owner", "owner")]


def test_runs_jobs_and_rankings_belong_to_the_owner(session: Session) -> None:
    run = runs.add_run(session, [], **RUN)
    job = add_job(session, kind="import", title="Import", settings={}, resource="cpu")
    campaign = Campaign(name="polite", plan={}, status="open", made_by_run_id=run.id)
    session.add(campaign)
    session.flush()
    item, annotator = (
        Item(campaign_id=campaign.id, place=0, prompt="Hi", capacity=1),
        Annotator(campaign_id=campaign.id, name="ann", secret="s"),
    )
    session.add_all([item, annotator])
    session.flush()
    assignment = Assignment(
        campaign_id=campaign.id, item_id=item.id, annotator_id=annotator.id, key="k", shown=[], status="done"
    )
    session.add(assignment)
    session.flush()
    values = {
        "assignment_id": assignment.id, "campaign_id": campaign.id, "revision": 0, "groups": [], "seconds": 1.0,
        "both_bad": False, "flag": False, "comment": "", "skip": None, "current": True,
    }  # fmt: skip
    session.execute(answering._WRITTEN, [values])
    assert (run.user_id, job.user_id, session.scalar(select(Ranking.user_id))) == (OWNER_ID, OWNER_ID, OWNER_ID)


def test_two_users_may_have_a_preset_of_the_same_name_and_see_their_own(session: Session) -> None:
    session.add(User(id=2, name="ann", role="owner"))
    session.flush()
    presets.put_preset(session, "wild", {"temperature": 2.0})
    session.add(Preset(name="wild", settings={}, user_id=2))
    session.flush()
    assert [preset.settings for preset in presets.all_presets(session)] == [{"temperature": 2.0}]
    session.add(Preset(name="wild", settings={}, user_id=2))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_a_model_name_is_unique_in_the_whole_lab(session: Session) -> None:
    fields: dict[str, Any] = {"name": "m", "role": "generate", "backend": "local", "source": {}, "card": {}}
    session.add(Model(**fields))
    session.flush()
    session.add(Model(**fields))
    with pytest.raises(IntegrityError):
        session.flush()
    session.rollback()


def test_rows_of_an_older_lab_become_the_owners(tmp_path: Path) -> None:
    from alembic import command
    from alembic.config import Config

    from storage.database import MIGRATIONS

    database = Database(f"sqlite:///{tmp_path / 'lab.db'}")
    settings = Config()
    settings.set_main_option("script_location", str(MIGRATIONS))
    with database.writer.begin() as connection:
        settings.attributes["connection"] = connection
        command.upgrade(settings, "0006")
        connection.execute(text("INSERT INTO presets (name, settings, created_at) VALUES ('wild', '{}', '2026-01-01')"))
        connection.execute(
            text(
                "INSERT INTO runs (kind, settings, seed, code_revision, dirty, packages, device, status, created_at) "
                "VALUES ('generate', '{}', 1, '', 0, '{}', 'cpu', 'finished', '2026-01-01')"
            )
        )
    database.upgrade()
    with database.reading() as opened:
        owners = [opened.scalar(text(f"SELECT user_id FROM {table}")) for table in ("presets", "runs")]
    assert owners == [OWNER_ID, OWNER_ID]
    database.close()

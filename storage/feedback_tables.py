"""The tables of human feedback: what is asked of whom, and every answer that was ever given."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from storage.tables import OwnedRow, Row


class Campaign(Row):
    """A ranking task. `plan` is what its lead decided; only name, guidelines and overlap change once it is open."""

    __tablename__ = "campaigns"

    name: Mapped[str] = mapped_column(unique=True)
    plan: Mapped[dict[str, Any]]
    status: Mapped[str]
    made_by_run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    opened_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]
    items: Mapped[int] = mapped_column(default=0)

    __table_args__ = (CheckConstraint("status IN ('making', 'draft', 'open', 'paused', 'closed')", name="status"),)


class Item(Row):
    """A prompt with its candidates. `place` is the order in which items are given out; `capacity` is how
    many more annotators may have it; `gold` is the known order as groups of candidate ids, and such an item is for all.
    `verdict` is what a lead has `decided` where annotators differ.
    """

    __tablename__ = "items"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    place: Mapped[int]
    prompt: Mapped[str]
    capacity: Mapped[int]
    gold: Mapped[list[Any] | None]
    verdict: Mapped[dict[str, Any] | None]
    decided: Mapped[bool] = mapped_column(default=False)
    candidates: Mapped[list["Candidate"]] = relationship(order_by="Candidate.place", cascade="all, delete-orphan")

    __table_args__ = (
        Index("ix_items_campaign_id_place", "campaign_id", "place"),
        Index("ix_items_campaign_id_capacity", "campaign_id", "capacity"),
    )


class Candidate(Row):
    """One completion to be ranked. `shown` is its text with model names hidden, None where it holds none."""

    __tablename__ = "candidates"

    item_id: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), index=True)
    place: Mapped[int]
    system: Mapped[str]
    text: Mapped[str]
    shown: Mapped[str | None]
    generation_id: Mapped[int | None] = mapped_column(ForeignKey("generations.id"))


class Annotator(Row):
    """Who ranks, in one campaign. `secret` is what the personal link is made of, together with a key that is not in
    the database (of an older link, its hash); `last_place` is the place up to which all items were assigned or passed;
    `done`, `skipped` and `seconds` are kept with every answer.
    """

    __tablename__ = "annotators"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    name: Mapped[str]
    secret: Mapped[str] = mapped_column(unique=True)
    revoked_at: Mapped[datetime | None]
    visitor: Mapped[bool] = mapped_column(default=False)
    last_place: Mapped[int] = mapped_column(default=-1)
    assigned: Mapped[int] = mapped_column(default=0)
    done: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    seen_at: Mapped[datetime | None]

    __table_args__ = (UniqueConstraint("campaign_id", "name"),)


class Assignment(Row):
    """An item given to an annotator. `shown` is the order of candidate ids on the card; `key` names it to the browser.

    Surplus ones were answered after their time, when others had filled the item: kept, and not counted.
    """

    __tablename__ = "assignments"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    item_id: Mapped[int] = mapped_column(ForeignKey("items.id", ondelete="CASCADE"), index=True)
    annotator_id: Mapped[int] = mapped_column(ForeignKey("annotators.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(unique=True)
    repeat: Mapped[bool] = mapped_column(default=False)
    shown: Mapped[list[Any]]
    status: Mapped[str]
    held_until: Mapped[datetime | None]
    revision: Mapped[int] = mapped_column(default=-1)

    __table_args__ = (
        UniqueConstraint("annotator_id", "item_id", "repeat"),
        Index("ix_assignments_annotator_id_status", "annotator_id", "status"),
        Index("ix_assignments_campaign_id_status", "campaign_id", "status", "held_until"),
        CheckConstraint("status IN ('held', 'done', 'skipped', 'expired', 'surplus')", name="status"),
    )


class Ranking(OwnedRow):
    """One answer. A change adds a row with the next `revision`; only the last one of an assignment is `current`.

    `groups` holds candidate ids, the best group first; `skip` is the reason where there is no order.
    """

    __tablename__ = "rankings"

    assignment_id: Mapped[int] = mapped_column(ForeignKey("assignments.id", ondelete="CASCADE"))
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    revision: Mapped[int]
    groups: Mapped[list[Any]]
    both_bad: Mapped[bool] = mapped_column(default=False)
    flag: Mapped[bool] = mapped_column(default=False)
    comment: Mapped[str] = mapped_column(default="")
    skip: Mapped[str | None]
    seconds: Mapped[float]
    current: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        UniqueConstraint("assignment_id", "revision"),
        Index("ix_rankings_campaign_id_current", "campaign_id", "current"),
    )


class Demo(Row):
    """A page for visitors. `plan` holds models, prompts, sampling and limits; votes land in the campaign.

    The link is made of `secret` as an annotator's is.
    """

    __tablename__ = "demos"

    title: Mapped[str]
    plan: Mapped[dict[str, Any]]
    secret: Mapped[str] = mapped_column(unique=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    closed_at: Mapped[datetime | None]

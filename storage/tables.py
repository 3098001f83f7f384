"""Every table, on one page. Rows are what is remembered; a Run is the only maker of artefacts."""

from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, LargeBinary, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from storage.column_types import Moment, Words

NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

OWNER_ID = 1  # the one user of a lab, whom the migration adds
_ACTING_USER: ContextVar[int] = ContextVar("acting_user", default=OWNER_ID)
INPUTS = ("model_id", "dataset_version_id", "template_version_id", "source_run_id")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMES)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON,
        list[Any]: JSON,
        datetime: Moment,
        str: Words,
    }


class Row(Base):
    __abstract__ = True

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))


def acting_user_id() -> int:
    """The user for whom this thread or task writes: the owner, until there are others."""
    return _ACTING_USER.get()


class OwnedRow(Row):
    """A row that remembers which user wrote it."""

    __abstract__ = True

    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), default=acting_user_id)


class User(Row):
    """Somebody who works in the lab. Annotators of a campaign and visitors of a demo are no users."""

    __tablename__ = "users"

    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]


class Experiment(Row):
    __tablename__ = "experiments"

    name: Mapped[str] = mapped_column(unique=True)
    question: Mapped[str] = mapped_column(default="")
    notes: Mapped[str] = mapped_column(default="")


class Model(Row):
    """A model that can be used. `card` holds what is known of it without loading; secrets are named, never kept."""

    __tablename__ = "models"

    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    backend: Mapped[str]
    source: Mapped[dict[str, Any]]
    revision: Mapped[str | None]
    path: Mapped[str | None]
    content_hash: Mapped[str | None]
    card: Mapped[dict[str, Any]]
    base_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"))
    made_by_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    archived_at: Mapped[datetime | None]
    dtype: Mapped[str | None]  # as its user chose; None leaves it to the lab

    __table_args__ = (CheckConstraint("role IN ('generate', 'reward', 'classify', 'embed')", name="role"),)


class Run(OwnedRow):
    """One piece of work and all that is needed to repeat it; inputs and settings never change once it has started.

    `title` and `tags` are a reader's own words for it and may change.
    """

    __tablename__ = "runs"

    experiment_id: Mapped[int | None] = mapped_column(ForeignKey("experiments.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    kind: Mapped[str]
    group: Mapped[str | None] = mapped_column(index=True)
    settings: Mapped[dict[str, Any]]
    seed: Mapped[int]
    code_revision: Mapped[str]
    dirty: Mapped[bool]
    packages: Mapped[dict[str, Any]]
    device: Mapped[str]
    status: Mapped[str] = mapped_column(index=True)
    seconds: Mapped[float | None]
    error: Mapped[str | None]
    deleted_at: Mapped[datetime | None]
    title: Mapped[str | None]
    tags: Mapped[list[Any] | None]
    dtype: Mapped[str | None]  # that its model was loaded in
    inputs: Mapped[list["RunInput"]] = relationship(
        cascade="all, delete-orphan", back_populates="run", foreign_keys="RunInput.run_id", order_by="RunInput.id"
    )
    generations: Mapped[list["Generation"]] = relationship(
        cascade="all, delete-orphan", order_by="Generation.row_index, Generation.sample_index", back_populates="run"
    )

    __table_args__ = (CheckConstraint("status IN ('running', 'finished', 'cancelled', 'failed')", name="status"),)

    @property
    def model_input(self) -> "RunInput":
        """The first model among its inputs; every run that generates has one."""
        return next(run_input for run_input in self.inputs if run_input.model_id is not None)


class RunInput(Row):
    """What a run read, under a role such as 'policy': exactly one of the four; the hash is its own at that moment."""

    __tablename__ = "run_inputs"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    role: Mapped[str]
    model_id: Mapped[int | None] = mapped_column(ForeignKey("models.id"), index=True)
    dataset_version_id: Mapped[int | None] = mapped_column(ForeignKey("dataset_versions.id"), index=True)
    template_version_id: Mapped[int | None] = mapped_column(ForeignKey("template_versions.id"), index=True)
    source_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"), index=True)
    content_hash: Mapped[str | None]
    run: Mapped[Run] = relationship(back_populates="inputs", foreign_keys=[run_id])
    model: Mapped[Model] = relationship()
    dataset_version: Mapped["DatasetVersion"] = relationship()
    template_version: Mapped["TemplateVersion"] = relationship()

    __table_args__ = (
        UniqueConstraint("run_id", "role"),
        CheckConstraint(
            " + ".join(f"CASE WHEN {name} IS NULL THEN 0 ELSE 1 END" for name in INPUTS) + " = 1", name="one_input"
        ),
    )


class Generation(Row):
    """One completion. `trace` holds the tokens with their alternatives, as compressed JSON.

    `row_index` counts the prompts of the run from 0, `sample_index` the completions of a prompt; together they are the
    key. `example` is the row number in the dataset version that the run read, None for a prompt typed by hand. For a
    dataset row, `detail` holds the row numbers of its shots, whether it was remembered, and the error where there is no
    completion; for a prompt typed by hand it may hold notes for the reader and the number of reasoning tokens.
    """

    __tablename__ = "generations"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    row_index: Mapped[int] = mapped_column(default=0, server_default="0")
    sample_index: Mapped[int]
    example: Mapped[int | None]
    detail: Mapped[dict[str, Any] | None]
    rendered_prompt: Mapped[str]
    text: Mapped[str]
    finish_reason: Mapped[str]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    seconds: Mapped[float]
    first_token_seconds: Mapped[float | None]
    seed: Mapped[int]
    trace: Mapped[bytes] = mapped_column(LargeBinary)
    run: Mapped[Run] = relationship(back_populates="generations")

    __table_args__ = (UniqueConstraint("run_id", "row_index", "sample_index"),)


class Preset(OwnedRow):
    """A user's own sampling settings under a name."""

    __tablename__ = "presets"

    name: Mapped[str]
    settings: Mapped[dict[str, Any]]

    __table_args__ = (UniqueConstraint("user_id", "name"),)


class Dataset(Row):
    __tablename__ = "datasets"

    name: Mapped[str] = mapped_column(unique=True)
    notes: Mapped[str] = mapped_column(default="")
    archived_at: Mapped[datetime | None]
    versions: Mapped[list["DatasetVersion"]] = relationship(back_populates="dataset", order_by="DatasetVersion.number")


class DatasetVersion(Row):
    """An immutable table of rows in a Parquet file below the data home.

    `content_hash` covers rows, roles and splits; `columns` lists {"name", "kind"}; `roles` maps a role to columns;
    `splits` maps a split to its number of rows; `source` tells where it came from; `profile` is filled in later.
    """

    __tablename__ = "dataset_versions"

    dataset_id: Mapped[int] = mapped_column(ForeignKey("datasets.id"), index=True)
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(unique=True)
    source_hash: Mapped[str | None] = mapped_column(index=True)
    path: Mapped[str]
    rows: Mapped[int]
    bytes: Mapped[int] = mapped_column(BigInteger)
    columns: Mapped[list[Any]]
    roles: Mapped[dict[str, Any]]
    splits: Mapped[dict[str, Any]]
    source: Mapped[dict[str, Any]]
    profile: Mapped[dict[str, Any] | None]
    made_by_run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    dataset: Mapped[Dataset] = relationship(back_populates="versions")

    __table_args__ = (UniqueConstraint("dataset_id", "number"),)


class Template(Row):
    __tablename__ = "templates"

    name: Mapped[str] = mapped_column(unique=True)
    task: Mapped[str] = mapped_column(default="")
    archived_at: Mapped[datetime | None]
    versions: Mapped[list["TemplateVersion"]] = relationship(
        back_populates="template", order_by="TemplateVersion.number"
    )


class TemplateVersion(Row):
    """An immutable text. `parts` holds system, instruction, shot, separator; `tags` are the only thing that moves."""

    __tablename__ = "template_versions"

    template_id: Mapped[int] = mapped_column(ForeignKey("templates.id"), index=True)
    number: Mapped[int]
    content_hash: Mapped[str]
    parts: Mapped[dict[str, Any]]
    slots: Mapped[list[Any]]
    message: Mapped[str] = mapped_column(default="")
    tags: Mapped[list[Any]]
    template: Mapped[Template] = relationship(back_populates="versions")

    __table_args__ = (UniqueConstraint("template_id", "number"), UniqueConstraint("template_id", "content_hash"))


class Job(OwnedRow):
    """Work done in a process of its own. `resource` is what it occupies ("cpu", "gpu", "network").

    It begins when the job `depends_on_id` has finished and those of `after` have ended, in whichever way. `pid` and
    `process_started` (clock ticks since boot) together name a process; `exit_reason` says how it ended.
    `failed_attempts` lists how earlier attempts ended since a user queued the job: {"attempt", "reason" ("killed" or
    "out of memory"), "records" (whether it left any), "peak_memory"}.
    """

    __tablename__ = "jobs"

    kind: Mapped[str] = mapped_column(index=True)
    title: Mapped[str]
    settings: Mapped[dict[str, Any]]
    resource: Mapped[str]
    priority: Mapped[int] = mapped_column(default=0)
    status: Mapped[str] = mapped_column(index=True)
    exit_reason: Mapped[str | None]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    depends_on_id: Mapped[int | None] = mapped_column(ForeignKey("jobs.id"))
    after: Mapped[list[Any] | None]
    attempt: Mapped[int] = mapped_column(default=0)
    failed_attempts: Mapped[list[Any] | None]
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    pid: Mapped[int | None]
    process_started: Mapped[int | None] = mapped_column(BigInteger)
    heartbeat_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    done: Mapped[float] = mapped_column(default=0.0)
    total: Mapped[float | None]
    seconds_left: Mapped[float | None]
    message: Mapped[str] = mapped_column(default="")
    error: Mapped[str | None]
    peak_memory: Mapped[int | None] = mapped_column(BigInteger)
    result: Mapped[dict[str, Any] | None]
    ingested: Mapped[int] = mapped_column(BigInteger, default=0)

    __table_args__ = (
        CheckConstraint("status IN ('queued', 'running', 'finished', 'cancelled', 'failed')", name="status"),
    )


class JobMetric(Row):
    __tablename__ = "job_metrics"

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    name: Mapped[str]
    step: Mapped[int]
    value: Mapped[float]

    __table_args__ = (UniqueConstraint("job_id", "name", "step"),)


class Score(Row):
    """A metric's figures for the completions of `source_run_id`, made by the evaluation `run_id`.

    `value` with its 95 % interval `low` to `high` over `n` examples; `per_example` lists one figure an example, in the
    order of the source run's generations, None where it is undefined.
    """

    __tablename__ = "scores"

    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"))
    source_run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), index=True)
    metric: Mapped[str]
    figure: Mapped[str]
    signature: Mapped[str]
    settings: Mapped[dict[str, Any]]
    value: Mapped[float | None]
    low: Mapped[float | None]
    high: Mapped[float | None]
    n: Mapped[int]
    per_example: Mapped[list[Any] | None]
    detail: Mapped[dict[str, Any]]

    __table_args__ = (UniqueConstraint("run_id", "source_run_id", "metric", "figure", "signature"),)


class Rating(Row):
    """A reader's thumb (-1, 0, 1) and comment on one completion."""

    __tablename__ = "ratings"

    generation_id: Mapped[int] = mapped_column(ForeignKey("generations.id", ondelete="CASCADE"), unique=True)
    thumb: Mapped[int]
    comment: Mapped[str] = mapped_column(default="")


class Response(Row):
    """A completion remembered under the hash of everything that decides it, so that a rerun costs nothing."""

    __tablename__ = "responses"

    key: Mapped[str] = mapped_column(unique=True)
    text: Mapped[str]
    finish_reason: Mapped[str]
    prompt_tokens: Mapped[int]
    completion_tokens: Mapped[int]
    seconds: Mapped[float]

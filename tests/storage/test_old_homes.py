"""A database of July's code (revision 0006, before names and tables changed) opens: its runs are read and walked.

`old_home/lab.sql` was made with that code: datasets, templates, a preset, generations of every sort, a matrix with its
evaluation, an upload, fine-tuning with a suite, a sweep, a campaign with its reward model and policy, a demo, and jobs
that failed or were cancelled. Large columns were cut, and the files of the home are not there.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from genai_lab import bootstrap
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.models.starter import WEIGHTS
from genai_lab.services import (
    datasets,
    evaluation,
    feedback,
    generation,
    history,
    jobs,
    lineage,
    matrix,
    models,
    presets,
    runs,
    templates,
    training,
)  # fmt: skip
from genai_lab.services.feedback import demos, exporting, figures
from genai_lab.services.training import studies
from storage.tables import OWNER_ID, Generation, Run

DUMP = Path(__file__).parent / "old_home" / "lab.sql"
SHOW: dict[str, Callable[[LabContext, int], Any]] = {
    "generate": generation.run,
    "matrix": matrix.show,
    "evaluate": evaluation.show,
    "train": training.show,
    "study": studies.show,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_home(tmp_path_factory)


@pytest.fixture(scope="module")
def changing_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    """Another lab of the same rows, for tests that add some."""
    opened = bootstrap.open_lab(Config(home=write_home(tmp_path_factory), device="cpu", dtype="float32"))
    yield opened
    opened.close()


def write_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The old home in a folder of its own."""
    home = tmp_path_factory.mktemp("old") / "home"
    home.mkdir()
    script = DUMP.read_text().replace("{HOME}", str(home)).replace("{WEIGHTS}", str(WEIGHTS))
    with sqlite3.connect(home / "lab.db") as connection:
        connection.executescript(script)
    connection.close()
    return home


@pytest.fixture(scope="module")
def rows_before(home: Path) -> dict[str, int]:
    with sqlite3.connect(home / "lab.db") as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f'SELECT COUNT(*) FROM "{name}"').fetchone()[0] for name in names}


@pytest.fixture(scope="module")
def lab(home: Path, rows_before: dict[str, int]) -> Iterator[LabContext]:
    assert rows_before["runs"] == 35
    opened = bootstrap.open_lab(Config(home=home, device="cpu", dtype="float32"))
    yield opened
    opened.close()


def all_rows(lab: LabContext) -> list[history.RunRow]:
    parts = history.history(lab, kind="predict", limit=500).rows
    return list({row.id: row for row in [*history.history(lab, limit=500).rows, *parts]}.values())


def test_no_row_is_lost(lab: LabContext, rows_before: dict[str, int]) -> None:
    grown = {"models", "templates", "template_versions"}  # what is shipped is registered when a lab opens
    with lab.database.reading() as session:
        after = {name: session.scalar(text(f'SELECT COUNT(*) FROM "{name}"')) for name in rows_before}
        assert {name: count for name, count in after.items() if name not in grown} == {
            name: count for name, count in rows_before.items() if name not in grown
        }
        assert all(after[name] >= rows_before[name] for name in grown)
        assert set(session.scalars(select(Run.user_id))) == {OWNER_ID}


def test_every_run_is_listed_with_its_page_and_read(lab: LabContext) -> None:
    rows = all_rows(lab)
    assert len(rows) == 35
    kinds = Counter(row.kind for row in rows)
    assert kinds == {
        "generate": 10, "predict": 7, "train": 6, "import": 5, "matrix": 2, "evaluate": 2, "campaign": 2, "study": 1
    }  # fmt: skip
    for row in rows:
        assert row.address.startswith("/")
        assert row.as_dict()["title"] == runs.RUN_KINDS.get(row.kind).title
        if row.kind in SHOW:
            view = SHOW[row.kind](lab, row.id)
            assert view.id == row.id
            assert view.as_dict()


def test_every_run_model_and_campaign_is_walked(lab: LabContext) -> None:
    for row in all_rows(lab):
        assert f"run {row.id}" in lineage.walk_run(lab, row.id).nodes
    for view in [*models.catalogue(lab), *models.catalogue(lab, archived=True)]:
        assert lineage.walk(lab, view.card.name).of("model")
    policy = lineage.walk(lab, "pol-dpo")
    assert {node.name for node in policy.of("campaign")} == {"polite"}
    assert {node.kind for node in policy.nodes.values()} >= {"model", "train run", "dataset", "campaign"}


def test_old_settings_are_read_under_their_present_names(lab: LabContext) -> None:
    by_id = {row.id: row for row in all_rows(lab)}
    beams = [generation.run(lab, run_id).sampling for run_id in by_id if by_id[run_id].kind == "generate"]
    assert {sampling.num_beams for sampling in beams} == {1, 3}
    assert {sampling.num_return_sequences for sampling in beams} == {1, 4}
    assert presets.presets(lab)["wild"].sampling.no_repeat_ngram_size == 3
    (tuned,) = [run for run in training.find(lab) if run.model == "tuned"]
    assert (tuned.plan.training.max_grad_norm, tuned.plan.training.gradient_accumulation_steps) == (0.5, 2)
    assert (tuned.plan.training.eval_steps, tuned.plan.training.early_stopping_patience) == (3, 5)


@pytest.mark.parametrize("run_id", [3, 4])
def test_a_completion_of_a_shipped_model_is_replayed_with_the_same_text(changing_lab: LabContext, run_id: int) -> None:
    new_id = runs.replay(changing_lab, run_id)
    with changing_lab.database.reading() as session:
        query = select(Generation.run_id, Generation.text).where(Generation.run_id.in_([run_id, new_id]))
        texts = session.execute(query.order_by(Generation.run_id, Generation.sample_index)).all()
    old, new = ([text for run, text in texts if run == number] for number in (run_id, new_id))
    assert old == new


def test_datasets_templates_jobs_campaigns_and_demos_are_read(lab: LabContext) -> None:
    assert {view.name for view in datasets.find(lab)[0]} >= {"reviews@1", "rows@1"}
    assert templates.show(lab, "mine@prod").number == 1
    jobs_found, total = jobs.find(lab, limit=50)
    assert total == 11
    assert Counter(job.status for job in jobs_found) == {"finished": 9, "failed": 1, "cancelled": 1}
    assert all(job.as_dict() for job in jobs_found)
    campaigns = {view.name: view for view in feedback.find(lab)}
    assert len(list(exporting.rankings(lab, campaigns["polite"].id))) == 12
    assert figures.leaderboard(lab, campaigns["polite"].id).rows
    (demo,) = demos.find(lab)
    assert demo.votes == 1

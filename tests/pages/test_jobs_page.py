"""The jobs page without a browser: handlers take and return values by name."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import pages  # noqa: F401  (turns Gradio's analytics off)
from genai_lab.bootstrap import open_lab
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.services import jobs as service
from pages import jobs
from pages.components.confirm import Confirm
from storage.tables import Job

VALUES = {"job_id": 0, "search": "", "status": jobs.ANY_STATUS, "page_index": 0}


@pytest.fixture(scope="module")
def queue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabContext, list[int]]]:
    """A lab with 23 queued jobs, which nobody starts."""
    lab = open_lab(Config(home=tmp_path_factory.mktemp("jobs")))
    yield lab, [service.enqueue(lab, "campaign", {"campaign": 1}, title=f"Work {number}") for number in range(23)]
    lab.close()


def set_status(lab: LabContext, job_id: int, status: str) -> None:
    """As the supervisor would."""
    with lab.database.session() as session:
        session.get_one(Job, job_id).status = status


def request(**parameters: str) -> Any:
    return SimpleNamespace(query_params=parameters)


def test_the_address_selects_a_job(queue: tuple[LabContext, list[int]]) -> None:
    lab, ids = queue
    updates = jobs.load_page(lab, request(job=str(ids[3])))
    assert set(updates) == {"job_id", *jobs.CHANGED}
    assert (updates["job_id"], updates["detail"]["title"]) == (ids[3], "Work 3")
    assert jobs.load_page(lab, request(job="999999"))["detail"] == {}
    assert jobs.load_page(lab, request(job="x"))["job_id"] == 0


def test_pages_turn_within_their_bounds_and_a_search_begins_at_the_first(queue: tuple[LabContext, list[int]]) -> None:
    lab, ids = queue
    second = jobs.turn_page(lab, 1, VALUES)
    assert (second["page_index"], len(second["table"]["rows"])) == (1, 3)
    assert second["table"]["count"] == "Jobs 21 to 23 of 23, newest first"
    assert jobs.turn_page(lab, 1, {**VALUES, "page_index": 1})["page_index"] == 1
    assert jobs.turn_page(lab, -1, VALUES)["page_index"] == 0
    first = jobs.first_page(lab, {**VALUES, "page_index": 1, "search": "Work 22"})
    assert ([row["id"] for row in first["table"]["rows"]], first["page_index"]) == ([ids[22]], 0)
    assert jobs.first_page(lab, {**VALUES, "search": "no such words"})["table"]["title"] == "Nothing found"


def test_a_tick_draws_only_what_has_changed(queue: tuple[LabContext, list[int]]) -> None:
    lab, ids = queue
    values = {**VALUES, "job_id": ids[0]}
    drawn_state = jobs.render(lab, values)["drawn_state"]
    assert jobs.refresh(lab, {**values, "drawn_state": drawn_state}) == {}
    set_status(lab, ids[0], "cancelled")
    changed = jobs.refresh(lab, {**values, "drawn_state": drawn_state})
    assert (changed["detail"]["status"], changed["retry"]["visible"]) == ("cancelled", True)


def test_a_change_while_the_page_is_drawn_is_drawn_at_the_next_tick(
    queue: tuple[LabContext, list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, ids = queue
    values = {**VALUES, "job_id": ids[5]}
    table = jobs._table

    def end_meanwhile(*arguments: Any) -> Any:
        set_status(lab, ids[5], "failed")
        return table(*arguments)

    monkeypatch.setattr(jobs, "_table", end_meanwhile)
    rendered = jobs.render(lab, values)
    monkeypatch.undo()
    changed = jobs.refresh(lab, {**values, "drawn_state": rendered["drawn_state"]})
    assert (rendered["detail"]["status"], changed["detail"]["status"]) == ("queued", "failed")


def test_a_job_is_cancelled_and_tried_again(queue: tuple[LabContext, list[int]]) -> None:
    import gradio as gr

    lab, ids = queue
    values = {**VALUES, "job_id": ids[2]}
    with gr.Blocks():
        row, sentence = jobs.ask_to_cancel(lab, Confirm("Cancel job", "confirm"), ids[2])
    assert (row["visible"], sentence.startswith(f"Cancel job {ids[2]} (Work 2)?")) == (True, True)
    cancelled = jobs.cancel_job(lab, values)
    assert (cancelled["retry"]["visible"], cancelled["cancel"]["visible"]) == (False, False)  # it has not ended yet
    set_status(lab, ids[2], "cancelled")
    assert jobs.retry_job(lab, values)["cancel"]["visible"] is True

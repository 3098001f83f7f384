"""Panels of a page with a selection never show the figures of another choice, however slow their service is."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

import pages  # noqa: F401 - turns Gradio's analytics off before it is imported
from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import feedback
from genai_lab.services.feedback import figures as service
from pages.components.selection import Selection
from pages.feedback import page
from tests.tiny import open_new

ADA, BO = SimpleNamespace(session_hash="ada"), SimpleNamespace(session_hash="bo")


def skipped(answer: Any) -> bool:
    return isinstance(answer, dict) and answer == gr.skip()


class Slow:
    """A handler that waits in the middle until it is let go."""

    def __init__(self) -> None:
        self.inside, self.go = threading.Event(), threading.Event()

    def __call__(self, choice: int, extra: str) -> str:
        self.inside.set()
        assert self.go.wait(60)
        return f"{choice} {extra}"


def slowed(fn: Callable[..., Any], *values: Any, slow: Slow, meanwhile: Callable[[], None]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        late: Future[Any] = pool.submit(fn, *values)
        assert slow.inside.wait(60)
        meanwhile()
        slow.go.set()
        return late.result(60)


def test_the_answer_of_an_earlier_choice_is_dropped_and_that_of_the_present_one_shown() -> None:
    slow, selection = Slow(), Selection()
    open_row = selection.on_choice(lambda choice: [choice])
    fill = selection.for_choice(slow.__call__)
    assert open_row(ADA, 1) == [1]
    assert skipped(slowed(fill, ADA, 1, "x", slow=slow, meanwhile=lambda: open_row(ADA, 2)))
    assert fill(ADA, 2, "x") == "2 x"


def test_what_one_visitor_chooses_drops_nothing_of_anothers() -> None:
    slow, selection = Slow(), Selection()
    open_row = selection.on_choice(lambda choice: [choice])
    fill = selection.for_choice(slow.__call__)
    open_row(ADA, 1)
    assert slowed(fill, ADA, 1, "x", slow=slow, meanwhile=lambda: open_row(BO, 2)) == "1 x"


def test_a_visitor_who_has_chosen_nothing_yet_gets_every_answer_and_errors_stay_readable() -> None:
    def refuse(choice: int) -> None:
        raise LabError("There is no such row.")

    selection = Selection()
    assert selection.for_choice(lambda choice: choice)(ADA, 7) == 7
    with pytest.raises(gr.Error, match="There is no such row"):
        selection.for_choice(refuse)(ADA, 7)


def values(campaign: int) -> dict[str, Any]:
    return {"campaign": campaign, "length_control": False, "items.named": False}


def test_the_feedback_page_drops_the_figures_of_the_campaign_that_was_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = open_new(Config(home=tmp_path))
    selection = Selection(key=lambda arguments: arguments[0]["campaign"])
    fill = selection.for_choice(page.render_figures, lab)
    ways = (("Cy", ((0,), (1,))), ("Di", ((0,), (1,))))
    tasks = [RankingTask(f"prompt {n}", (Option("one", f"a{n}"), Option("two", f"b{n}")), votes=ways) for n in range(3)]
    first, second = (feedback.create(lab, CampaignPlan(name, overlap=2), tasks).campaign for name in ("old", "new"))
    inside, go, agreement = threading.Event(), threading.Event(), service.agreement

    def slow(lab: LabContext, which: int | str, seed: int = 0) -> Any:
        if which == first:
            inside.set()
            assert go.wait(60)
        return agreement(lab, which, seed)

    monkeypatch.setattr(service, "agreement", slow)
    selection.choose("ada", first)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(fill, ADA, values(first))
        assert inside.wait(60)
        selection.choose("ada", second)
        updates = fill(ADA, values(second))
        go.set()
        assert skipped(late.result(60))
    names = [update["campaign"] for update in updates.values() if isinstance(update, dict) and "campaign" in update]
    assert names == ["new"] * 4
    lab.close()

"""Which systems a campaign compares: one alone, places of a file, names from a column or given by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.data import BadRows
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import feedback
from genai_lab.services.feedback import figures, fresh, sources, systems
from storage import feedback as queries
from tests.tiny import open_lab

VOTES = {"annotator1": 1, "annotator2": 2, "annotator3": 1}


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    opened_lab = open_lab(tmp_path / "home")
    yield opened_lab
    opened_lab.close()


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def compared(count: int = 6, **options: Any) -> list[dict[str, Any]]:
    names = ("llama-7b_opt-7b", "opt-7b_bloom-7b", "bloom-7b_llama-7b")
    return [
        {
            "prompt": f"p{n}",
            "response1": f"a{n}",
            "response2": f"I am llama-7b {n}",
            **VOTES,
            "cmp_key": names[n % 3],
            **options,
        }
        for n in range(count)
    ]


def test_an_import_takes_the_overlap_of_its_votes_and_is_closed_when_it_has_all(
    tmp_path: Path, lab: LabContext
) -> None:
    path = written(tmp_path / "v.jsonl", compared())
    new_campaign = sources.from_file(lab, CampaignPlan("voted", overlap=2), path, sources.Columns())
    view = feedback.show(lab, new_campaign.campaign)
    assert (view.got, view.wanted, view.plan.overlap, view.status) == (18, 18, 3, "closed")
    rows: list[dict[str, Any]] = compared()
    rows[0]["annotator3"] = None
    part = sources.from_file(lab, CampaignPlan("part"), written(path, rows), sources.Columns())
    view = feedback.show(lab, part.campaign)
    assert (view.got, view.wanted, view.status) == (17, 18, "draft")


def test_places_of_a_file_have_no_leaderboard_until_they_are_named(tmp_path: Path, lab: LabContext) -> None:
    path = written(tmp_path / "v.jsonl", compared())
    new_campaign = sources.from_file(lab, CampaignPlan("voted"), path, sources.Columns())
    assert new_campaign.unnamed
    assert "no leaderboard until they are named" in new_campaign.told
    with pytest.raises(LabError, match="response1, response2 are places in it"):
        figures.leaderboard(lab, "voted")
    for names, problem in (
        ({"response1": "llama-7b"}, "response2 has no name"),
        ({"response1": "x", "response2": " x "}, "same name"),
    ):
        with pytest.raises(LabError, match=problem):
            systems.name_systems(lab, "voted", names)
    systems.name_systems(lab, "voted", {"response1": "opt-7b", "response2": "llama-7b"})
    assert {line.system for line in figures.leaderboard(lab, "voted").rows} == {"opt-7b", "llama-7b"}
    with lab.database.reading() as session:
        item = queries.page(session, new_campaign.campaign, 0, 1)[0]
    assert all("llama-7b" not in (candidate.shown or "") for candidate in item.candidates)
    assert (
        sum(candidate.shown is not None for candidate in item.candidates) == 1
    )  # a text that names a system is masked now
    with pytest.raises(LabError, match="have names already"):
        systems.name_systems(lab, "voted", {})


@pytest.mark.parametrize(("separator", "joined"), [("_", "llama_opt"), (" vs ", "llama vs opt"), ("|", "llama | opt")])
def test_one_column_that_joins_the_systems_is_found_and_split(
    tmp_path: Path, lab: LabContext, separator: str, joined: str
) -> None:
    rows = compared(cmp_key=joined)
    guess = sources.guess_systems(rows, sources.guess_columns(sources.Columns(), rows[0]))
    assert (guess.systems, guess.separator) == (("cmp_key",), separator)
    path = written(tmp_path / "v.jsonl", rows)
    new_campaign = sources.from_file(
        lab, CampaignPlan("voted"), path, sources.Columns(systems=("cmp_key",), separator=separator)
    )
    assert systems.of(lab, new_campaign.campaign) == systems.CampaignSystems(("llama", "opt"), True)
    with pytest.raises(BadRows, match="names 1 systems for 2 completions when it is split at ';'"):
        sources.from_file(lab, CampaignPlan("b"), path, sources.Columns(systems=("cmp_key",), separator=";"))


def test_a_column_of_other_words_is_not_taken_for_systems() -> None:
    rows = compared(cmp_key="")
    for n, row in enumerate(rows):
        row |= {"cmp_key": f"id_{n}", "note": "one, two and three, four"}
    rows = [{**row, "cmp_key": f"{n}a_{n}b"} for n, row in enumerate(rows)]
    assert sources.guess_systems(rows, sources.guess_columns(sources.Columns(), rows[0])).systems == ()


def test_one_system_alone_is_told_at_once_and_has_no_leaderboard_for_ever(lab: LabContext) -> None:
    tasks = [RankingTask(f"p{n}", (Option("one", f"a{n}"), Option("one", f"b{n}"))) for n in range(2)]
    feedback.create(lab, CampaignPlan("alone"), tasks)
    assert "from one system, one" in systems.of(lab, "alone").problem
    with pytest.raises(LabError, match="compare two models or two temperatures"):
        figures.leaderboard(lab, "alone")


def test_two_models_are_compared_where_nobody_has_chosen(lab: LabContext) -> None:
    assert fresh.comparable(lab) == ("starter-causal", "starter-seq2seq")

"""Campaigns from runs and files, items given out exactly once, answers kept once, pairs taken away."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations

from genai_lab.context import LabContext
from genai_lab.data import BadRows
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.models import Prompt
from genai_lab.services import datasets, feedback, generation, jobs, models
from genai_lab.services.feedback import exporting, fresh, links, ranking, reading, sources
from storage import feedback as queries
from storage import runs
from storage.feedback_tables import Annotator, Assignment
from storage.tables import Generation, RunInput
from tests.tiny import open_lab
from tests.waiting import until_ended


@pytest.fixture
def lab(tmp_path: Path) -> Any:
    opened_lab = open_lab(tmp_path / "home")
    yield opened_lab
    opened_lab.close()


def campaign(lab: LabContext, name: str = "c", items: int = 6, size: int = 2, **plan: Any) -> int:
    tasks = [
        RankingTask(f"prompt {n}", tuple(Option(f"s{k}", f"completion {n} {k}") for k in range(size)))
        for n in range(items)
    ]
    new_campaign = feedback.create(lab, CampaignPlan(name, **{"repeats": 0.0} | plan), tasks)
    feedback.move(lab, new_campaign.campaign, "open")
    return new_campaign.campaign


def dealt(lab: LabContext, annotator: int, want: int = 1, have: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return list(ranking.next_cards(lab, annotator, have, want).result(20)["cards"])


def answer(
    lab: LabContext, annotator: int, key: str, groups: Any = ((0,), (1,)), revision: int = 0, **options: Any
) -> Any:
    sent = {"key": key, "revision": revision, "groups": [list(group) for group in groups], "seconds": 2.0, **options}
    return ranking.answer(lab, annotator, sent).result(20)


def answer_all(lab: LabContext, annotator: int) -> int:
    count = 0
    while cards := dealt(lab, annotator):
        size = len(cards[0]["candidates"])
        answer(lab, annotator, cards[0]["key"], [[index] for index in range(size)])
        count += 1
    return count


def test_overlap_is_met_exactly_by_many_annotators_at_once(lab: LabContext) -> None:
    number = campaign(lab, items=40, overlap=3)
    people = [links.invite(lab, number, f"annotator {n}").annotator for n in range(7)]
    with ThreadPoolExecutor(7) as pool:
        counts = list(pool.map(lambda item: answer_all(lab, item), people))
    assert sum(counts) == 120
    with lab.database.reading() as session:
        votes = queries.votes(session, number)
    assert len({(item.item, item.annotator) for item in votes}) == 120
    assert {sum(entry.item == item for entry in votes) for item in {item.item for item in votes}} == {3}


def test_an_answer_is_kept_once_and_changes_keep_their_history(lab: LabContext) -> None:
    number = campaign(lab)
    ann = links.invite(lab, number, "ann").annotator
    key = dealt(lab, ann)[0]["key"]
    answer(lab, ann, key)
    assert answer(lab, ann, key)["done"] == 1  # sent twice
    with pytest.raises(ranking.Changed):
        answer(lab, ann, key, [[1], [0]])
    answer(lab, ann, key, [[1], [0]], revision=1)
    assert ranking.answers(lab, ann, 10)[0]["groups"] == [[1], [0]]
    rows = list(exporting.rankings(lab, number))
    assert [(row["revision"], row["current"]) for row in rows] == [(0, False), (1, True)]


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({"groups": [[0]]}, "names each of the 2 candidates once"),
        ({"groups": [[0], [0]]}, "names each"),
        ({"groups": [[0, 1]]}, "takes no ties"),
        ({"groups": "AB"}, "list of groups"),
        ({"groups": [[0], [1]], "comment": "x" * 5000}, "Comment"),
        ({"groups": [[0], [1]], "comment": "half \ud83d"}, "half a character"),
        ({"groups": [[0], [1]], "revision": 2**63}, "a revision from 0 to"),
        ({"groups": [[0], [1]], "key": "\udc00"}, "by key"),
        ({"groups": [[0], [1]], "seconds": float("nan")}, "Seconds"),
        ({"groups": [[0], [1]], "skip": "bored"}, "Skip"),
        ({"groups": [[True], [1]]}, "names each"),
    ],
)
def test_an_answer_that_cannot_be_is_one_sentence(lab: LabContext, sent: dict[str, Any], message: str) -> None:
    ann = links.invite(lab, campaign(lab, ties=False, both_bad=False), "ann").annotator
    key = dealt(lab, ann)[0]["key"]
    with pytest.raises(LabError, match=message):
        ranking.answer(lab, ann, {"key": key, "revision": 0, **sent}).result(20)


@pytest.mark.parametrize("holding_time", [timedelta(seconds=-1), timedelta(days=365)], ids=["late", "clock set back"])
def test_an_item_of_somebody_who_left_comes_back_and_a_late_answer_is_kept(
    lab: LabContext, holding_time: timedelta
) -> None:
    number = campaign(lab, items=1)
    ann, bob = (links.invite(lab, number, name).annotator for name in ("ann", "bob"))
    late = dealt(lab, ann)[0]["key"]
    assert dealt(lab, bob) == []
    with lab.database.session() as session:
        session.query(Assignment).update({"held_until": queries.now() + holding_time})
    other = dealt(lab, bob)[0]["key"]
    answer(lab, bob, other)
    answer(lab, ann, late)
    with lab.database.reading() as session:
        assert sorted(vote.status for vote in queries.votes(session, number)) == ["done", "surplus"]
    assert len(exporting.pairs(lab, number)) == 1


def test_a_lease_from_before_the_clock_was_set_back_is_made_anew(lab: LabContext) -> None:
    number = campaign(lab, items=1)
    ann, bob = (links.invite(lab, number, name).annotator for name in ("ann", "bob"))
    dealt(lab, ann)
    with lab.database.session() as session:
        session.query(Assignment).update({"held_until": queries.now() + timedelta(days=365)})
    assert len(dealt(lab, ann)) == 1
    assert dealt(lab, bob) == []


def test_a_skip_gives_the_item_to_somebody_else_and_can_be_taken_back(lab: LabContext) -> None:
    number = campaign(lab, items=1)
    ann, bob = (links.invite(lab, number, name).annotator for name in ("ann", "bob"))
    key = dealt(lab, ann)[0]["key"]
    answer(lab, ann, key, (), skip="unclear")
    answer(lab, ann, key, revision=1)
    assert dealt(lab, bob) == []
    assert feedback.show(lab, number).got == 1


def test_the_lead_reads_what_was_flagged_skipped_or_commented(lab: LabContext) -> None:
    number = campaign(lab, items=4)
    ann = links.invite(lab, number, "ann").annotator
    cards = dealt(lab, ann, 4)
    answer(lab, ann, cards[0]["key"], (), skip="cannot judge", comment="In Dutch.")
    answer(lab, ann, cards[1]["key"], flag=True)
    answer(lab, ann, cards[2]["key"], comment="Both are odd.")
    answer(lab, ann, cards[3]["key"])
    remarks, total = reading.find_remarks(lab, number)
    assert [(item.annotator, item.what, item.comment) for item in remarks] == [
        ("ann", "", "Both are odd."),
        ("ann", "flagged", ""),
        ("ann", "skipped: cannot judge", "In Dutch."),
    ]
    assert (remarks[2].prompt, total) == (cards[0]["prompt"], 3)


def test_repeats_come_with_swapped_sides_and_count_for_nobody_else(lab: LabContext) -> None:
    number = campaign(lab, items=40, repeats=0.4)
    ann = links.invite(lab, number, "ann").annotator
    answer_all(lab, ann)
    with lab.database.reading() as session:
        votes = queries.votes(session, number)
    first = {item.item: item.shown for item in votes if not item.repeat}
    again = [item for item in votes if item.repeat]
    assert len(first) == 40
    assert again
    assert all(item.shown == first[item.item][::-1] for item in again)
    assert len(exporting.pairs(lab, number)) == 40


def test_what_a_card_says_names_neither_system_nor_item(lab: LabContext) -> None:
    tasks = [
        RankingTask("Who are you?", (Option("gpt-x", "I am GPT-X, a model."), Option("llama-9", "A llama-9 speaks.")))
    ]
    new_campaign = feedback.create(lab, CampaignPlan("GPT-X against llama-9"), tasks)
    assert new_campaign.masked == 2
    feedback.move(lab, new_campaign.campaign, "open")
    ann = links.invite(lab, new_campaign.campaign, "ann").annotator
    assert ranking.state(lab, ann)["campaign"]["title"] == "[model] against [model]"
    card = dealt(lab, ann)[0]
    assert set(card) == {"key", "prompt", "candidates", "revision"}
    assert {item["text"] for item in card["candidates"]} == {"I am [model], a model.", "A [model] speaks."}
    answer(lab, ann, card["key"])
    assert "GPT-X" in str(exporting.pairs(lab, new_campaign.campaign))


def test_a_comparison_becomes_a_campaign_and_its_pairs_a_dataset_with_lineage(tmp_path: Path, lab: LabContext) -> None:
    lives = generation.start_many(
        lab,
        [
            generation.GenerationSpec(
                "starter-causal", Prompt(text="The cat"), Sampling(temperature=1.5, max_new_tokens=6, seed=n)
            )
            for n in (1, 2, 3)
        ],
    )
    for live in lives:
        live.wait()
    group = generation.run(lab, lives[0].run_id).group
    assert group is not None
    sources.from_group(lab, CampaignPlan("compared", kind="ranking", repeats=0.0), group)
    feedback.move(lab, "compared", "open")
    answer_all(lab, links.invite(lab, "compared", "ann").annotator)
    dataset = exporting.to_dataset(lab, "compared")
    rows = [example.fields for example in datasets.examples(lab, dataset.id)]
    assert len(rows) == 3
    assert sum(float(row["weight"]) for row in rows) == pytest.approx(1.0)
    assert exporting.to_dataset(lab, "compared").id == dataset.id
    path = tmp_path / "pairs.jsonl"
    exporting.export(lab, "compared", path, form="implicit chat")
    first = json.loads(path.read_text().splitlines()[0])
    assert first["chosen"][0] == {"role": "user", "content": "The cat"}
    assert first["chosen"][1]["role"] == "assistant"
    assert "prompt" not in first


def test_a_file_with_votes_is_imported_with_its_annotators(tmp_path: Path, lab: LabContext) -> None:
    path = tmp_path / "votes.jsonl"
    rows = [
        {"instruction": f"Do {n}", "input": "", "response1": f"a{n}", "response2": f"b{n}", "annotator1": n % 3,
         "annotator2": 2, "who": "m1_m2"}
        for n in range(9)
    ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    new_campaign = sources.from_file(lab, CampaignPlan("votes", overlap=2), path, sources.Columns(systems=("who",)))
    view = feedback.show(lab, new_campaign.campaign)
    assert (view.items, view.got, view.annotators) == (9, 18, 2)
    assert {pair.chosen_system for pair in exporting.pairs(lab, "votes")} == {"m1", "m2"}


def test_overlap_is_met_exactly_where_an_import_had_more_votes(lab: LabContext) -> None:
    votes = tuple((f"u{n}", ((0,), (1,))) for n in range(3))
    feedback.create(lab, CampaignPlan("wide"), [RankingTask("p", (Option("a", "1"), Option("b", "2")), votes=votes)])
    feedback.change(lab, "wide", overlap=4)
    feedback.move(lab, "wide", "open")
    people = [links.invite(lab, "wide", f"new {n}").annotator for n in range(3)]
    assert sum(answer_all(lab, person) for person in people) == 1


def test_a_bad_row_is_named_and_nothing_is_kept(tmp_path: Path, lab: LabContext) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("prompt,response1,response2,annotator1\np,a,b,1\nq,c,d,7\n")
    with pytest.raises(BadRows, match=r"Row 2, column 'annotator1': is '7'"):
        sources.from_file(lab, CampaignPlan("bad"), path, sources.Columns())
    path.write_text("prompt,response1,response2,response3,annotator1\np,a,b,c,2\n")
    with pytest.raises(BadRows, match="names the best of 3 alone; write the whole order as groups"):
        sources.from_file(lab, CampaignPlan("bad", kind="ranking"), path, sources.Columns())
    assert feedback.find(lab) == []


def test_chosen_and_rejected_are_imported_in_an_order_that_does_not_tell_them(tmp_path: Path, lab: LabContext) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{n}", "chosen": f"good {n}", "rejected": f"bad {n}"} for n in range(40)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    new_campaign = sources.from_file(lab, CampaignPlan("pairs"), path, sources.Columns())
    with lab.database.reading() as session:
        result = queries.page(session, new_campaign.campaign, 0, 40)
    assert 8 < sum(item.candidates[0].text.startswith("good") for item in result) < 32
    assert all(pair.chosen.startswith("good") for pair in exporting.pairs(lab, "pairs"))


def test_a_campaign_moves_only_where_it_can_and_is_discarded_only_without_answers(lab: LabContext) -> None:
    number = campaign(lab)
    with pytest.raises(LabError, match="There is no campaign 'x'"):
        feedback.show(lab, "x")
    with pytest.raises(LabError, match="already exists"):
        campaign(lab)
    feedback.move(lab, number, "paused")
    ann = links.invite(lab, number, "ann").annotator
    assert dealt(lab, ann) == []
    feedback.move(lab, number, "open")
    answer(lab, ann, dealt(lab, ann)[0]["key"])
    feedback.move(lab, number, "closed")
    with pytest.raises(LabError, match="close it instead"):
        feedback.discard(lab, number)
    other = feedback.create(lab, CampaignPlan("other"), [RankingTask("p", (Option("a", "1"), Option("b", "2")))])
    feedback.discard(lab, other.campaign)
    assert [view.id for view in feedback.find(lab)] == [number]


def test_a_campaign_whose_drawing_was_cancelled_says_so_and_what_to_do(lab: LabContext) -> None:
    sampling = [Sampling(temperature=1.5, max_new_tokens=2)]
    started = fresh.start(
        lab, CampaignPlan("failing"), ["starter-causal"], prompts=["hi"], samplings=sampling, samples=2
    )
    assert feedback.show(lab, "failing").status == "making"
    with pytest.raises(LabError, match="still being drawn"):
        feedback.move(lab, "failing", "open")
    jobs.cancel(lab, started.generating)
    until_ended(lab, started.job)
    view = feedback.show(lab, "failing")
    assert (view.status, feedback.find(lab)[0].problem) == ("failed", view.problem)
    with pytest.raises(LabError, match=r"were not drawn\. .+ Retry its jobs on the Jobs page"):
        feedback.move(lab, "failing", "open")
    feedback.discard(lab, "failing")
    assert feedback.find(lab) == []


def test_a_renewed_link_ends_the_old_one(lab: LabContext) -> None:
    link = links.invite(lab, campaign(lab), "ann")
    link_found = links.find_by_secret(lab, link.path.rpartition("/")[2])
    assert link_found is not None
    assert links.is_allowed(lab, *link_found)
    links.renew(lab, link.annotator)
    assert not links.is_allowed(lab, *link_found)
    assert links.find_by_secret(lab, link.path.rpartition("/")[2]) is None


def test_links_that_stood_in_the_database_still_open_and_are_read_there_no_more(lab: LabContext) -> None:
    number = campaign(lab)
    invitation = links.invite(lab, number, "ann")
    with lab.database.session() as session:
        session.get_one(Annotator, invitation.annotator).secret = "kRx0-an_older-link"
    hashing = import_module("storage.migrations.versions.0006_hashed_secrets_of_links")
    with lab.database.writer.begin() as connection, Operations.context(MigrationContext.configure(connection)):
        hashing.upgrade()
    with lab.database.reading() as session:
        stored = session.get_one(Annotator, invitation.annotator).secret
    assert "older" not in stored
    link_found = links.find_by_secret(lab, "kRx0-an_older-link")
    assert link_found is not None
    assert link_found[0] == invitation.annotator
    displayed = next(link for link in links.find_links(lab, number) if link.name == "ann")
    again = links.find_by_secret(lab, displayed.path.rpartition("/")[2])
    assert again == link_found
    for wrong in (
        stored,
        f"{invitation.annotator}.{stored[:40]}",
        f"{invitation.annotator}.",
        "0.x",
        f"{'9' * 30}.x",
        "é.x",
    ):
        assert links.find_by_secret(lab, wrong) is None


def system_run(lab: LabContext, texts: list[str], dataset: int | None = None, **settings: Any) -> int:
    """A run with these completions: of the first rows of a dataset version, or all of one prompt."""
    with lab.database.session() as session:
        model = RunInput(role="model", model_id=models.show(lab, "starter-causal").id)
        inputs = [model] + ([RunInput(role="dataset", dataset_version_id=dataset)] if dataset else [])
        result = {"sampling": Sampling(**settings).as_dict()}
        run = runs.add_run(session, inputs, kind="predict", settings=result, status="finished", **PROVENANCE)
        for row, text in enumerate(texts):
            run.generations.append(
                Generation(
                    sample_index=row, example=row if dataset else None, rendered_prompt="Say it", text=text,
                    finish_reason="length", prompt_tokens=1, completion_tokens=1, seed=0, seconds=0.1, trace=b"",
                )
            )  # fmt: skip
        session.flush()
        return int(run.id)


PROVENANCE = {"seed": 0, "title": "", "code_revision": "", "dirty": False, "packages": {}, "device": "cpu"}


def test_rows_of_two_datasets_are_not_mixed_and_settings_tell_systems_apart(lab: LabContext) -> None:
    a, b = (
        datasets.import_rows(lab, [{"x": f"{n} {k}"} for k in range(2)], n, {"kind": "t"}, mapping={"input": ["x"]}).id
        for n in ("first", "second")
    )
    kinds = ({"repetition_penalty": 1.2, "seed": 1}, {"repetition_penalty": 1.2, "seed": 2}, {"min_p": 0.1})
    runs = [
        system_run(lab, [f"{row} of {index}" for row in range(2)], dataset, **kinds[index % 3])
        for index, dataset in enumerate((a, a, a, b, b, b))
    ]
    tasks = sources.tasks_of(lab, runs)
    assert [[option.text[-1] for option in task.options] for task in tasks] == [list("021")] * 2 + [list("354")] * 2
    assert len({option.system for task in tasks for option in task.options}) == 2
    assert tasks[0].options[1].system == "starter-causal, min-p 0.1, repetition-penalty 1.0"


def test_candidates_that_an_item_has_no_room_for_are_told_and_taken_from_each_system(lab: LabContext) -> None:
    many = [system_run(lab, [f"{index} {n}" for n in range(5)], top_k=index) for index in range(2)]
    new_campaign = sources.from_runs(lab, CampaignPlan("many", kind="ranking"), many)
    assert (new_campaign.items, new_campaign.cut) == (1, 4)
    assert "4 candidates beyond 6 an item left out" in new_campaign.told
    with lab.database.reading() as session:
        names = [system for _, system, _ in queries.systems(session, new_campaign.campaign).values()]
    assert sorted(names) == ["starter-causal, top-k 0"] * 3 + ["starter-causal, top-k 1"] * 3

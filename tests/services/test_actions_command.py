"""Commands for what pages do beside starting things: deciding, rating, promoting, copying, giving up, stopping."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from genai_lab.api import Lab
from genai_lab.api.generation import Stream
from genai_lab.context import LabContext
from genai_lab.services import jobs, templates
from genai_lab.services.feedback import links
from tests.fake_lab import fake_answers, fake_lab  # noqa: F401
from tests.inline_jobs import wait_inline
from tests.services.test_campaigns import answer, campaign, dealt

Call = Callable[..., tuple[int, str, str]]
ROWS = [{"question": f"Capital of {land}?", "answer": city} for land, city in (("France", "Paris"), ("Chad", "Oslo"))]


@pytest.fixture
def lab(fake_lab: LabContext) -> LabContext:  # noqa: F811
    return fake_lab


def read(call: Call, *arguments: str) -> Any:
    """What the command prints as JSON."""
    code, out, err = call(*arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(call: Call, sentence: str, *arguments: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


def test_a_lead_decides_a_disputed_item_and_takes_it_back(lab: LabContext, call: Call) -> None:
    number = campaign(lab, items=1, overlap=2)
    for name, groups in (("ann", [[0], [1]]), ("bob", [[1], [0]])):
        who = links.invite(lab, number, name).annotator
        card = dealt(lab, who)[0]
        first = sorted(range(2), key=lambda place: card["candidates"][place]["text"])
        answer(lab, who, card["key"], [[first[place] for place in group] for group in groups])
    [dispute] = read(call, "feedback", "disputes", str(number))
    words = ["feedback", "adjudicate", str(number), str(dispute["item"])]
    assert read(call, *words, "--order", "b > A", "--note", "checked")["decided"] == "b > A"
    assert "B > A" in call("feedback", "disputes", str(number))[1]
    [dispute] = read(call, "feedback", "disputes", str(number))
    assert dispute["verdict"]["note"] == "checked"
    assert read(call, *words, "--undo")["decided"] is None
    assert read(call, "feedback", "disputes", str(number))[0]["verdict"] is None
    refused(call, "is not an order; write A > B", *words, "--order", "A > C")
    refused(call, "There is no item 999 in campaign", *words[:3], "999", "--undo")


def test_a_campaign_is_changed_and_one_without_answers_is_discarded(
    lab: LabContext, call: Call, tmp_path: Path
) -> None:
    number = campaign(lab, items=1)
    guidelines = tmp_path / "guidelines.txt"
    guidelines.write_text("Be fair.")
    words = ["feedback", "change", str(number), "--name", "fair", "--guidelines", str(guidelines), "--overlap", "3"]
    plan = read(call, *words)["plan"]
    assert (plan["name"], plan["guidelines"], plan["overlap"]) == ("fair", "Be fair.", 3)
    refused(call, "Nothing is to change", "feedback", "change", "fair")
    who = links.invite(lab, number, "ann").annotator
    answer(lab, who, dealt(lab, who)[0]["key"], [[0], [1]])
    refused(call, "has answers, so it cannot be discarded", "feedback", "discard", "fair")
    empty = campaign(lab, "empty", items=1)
    assert read(call, "feedback", "discard", str(empty)) == {"discarded": "empty"}
    refused(call, "no campaign", "feedback", "discard", str(empty))


def test_a_template_is_copied_and_loses_a_tag(lab: LabContext, call: Call) -> None:
    read(call, "prompts", "templates", "add", "ask", "--instruction", "Ask {{ input }}", "--tag", "best")
    assert read(call, "prompts", "templates", "copy", "ask@best", "ask-again")["name"] == "ask-again@1"
    assert call("prompts", "templates", "untag", "ask", "best")[0] == 0
    assert templates.show(lab, "ask").tags == ()
    refused(call, "No version of ask has the tag 'best'", "prompts", "templates", "untag", "ask", "best")
    refused(call, "ask-again", "prompts", "templates", "copy", "ask", "ask-again")


def test_a_completion_is_rated_and_its_cell_becomes_the_default(
    lab: LabContext, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "wait", wait_inline)
    api = Lab(lab)
    capitals = api.datasets.load(ROWS, "capitals", roles={"input": "question", "reference": "answer"}, split="none")
    templates_ = api.templates
    templates_.save("plainly", "{{ input }}")
    model = fake_answers({"France": "Paris", "Chad": "Rome"})
    matrix = api.matrix(model, capitals, template="plainly", metrics="exact_match", rows=2, wait=True)
    rows = read(call, "prompts", "predictions", str(matrix.id))
    assert sorted(row["completions"][0]["text"] for row in rows) == ["Paris", "Rome"]
    [failure] = read(call, "prompts", "predictions", str(matrix.id), "--only", "failures")
    generation = failure["completions"][0]["generation"]
    words = ["prompts", "rate", str(matrix.id), str(generation)]
    assert call(*words, "--thumb", "down", "--comment", "wrong")[0] == 0
    [rated] = api.matrices.get(matrix.id).predictions(only="rated")
    assert (rated.completions[0].thumb, rated.completions[0].comment) == (-1, "wrong")
    assert "Thumbs saved as thumbs@1: 1." in call("prompts", "thumbs", str(matrix.id), "--name", "thumbs")[1]
    dataset = read(call, "prompts", "thumbs", str(matrix.id), "--name", "thumbs")
    assert (dataset["dataset"], dataset["rows"]) == ("thumbs", 1)
    refused(call, "one completion per row", "prompts", "best", str(matrix.id), "--reward", "length")
    refused(call, "Nothing is to be kept", *words)
    refused(call, "no prediction 99999", *words[:3], "99999", "--thumb", "up")
    promoted = read(call, "prompts", "promote", str(matrix.id), "--cell", str(matrix.cells[0]))
    assert promoted == {"template": "plainly@1", "preset": "plainly default"}
    assert "default" in templates.show(lab, "plainly").tags
    refused(call, "is not in matrix", "prompts", "promote", str(matrix.id), "--cell", "99999")


def test_an_import_that_is_stuck_goes_on_without_bad_rows_or_is_given_up(
    lab: LabContext, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "fine"}\n{"text": Infinity}\n{"text": "good"}\n')
    assert read(call, "datasets", "stuck") is None
    job = read(call, "datasets", "import", str(path), "--name", "rows", "--queue")["job"]
    jobs.wait(lab, job)
    held = read(call, "datasets", "stuck")
    assert (held["job_id"], held["count"]) == (job, 1)
    assert "1 rows cannot be read" in call("datasets", "stuck")[1]
    again = read(call, "datasets", "resolve", str(job), "--drop-bad")["job"]
    assert Lab(lab).datasets.wait(again).rows()[1]["text"] == "good"
    job = read(call, "datasets", "import", str(path), "--name", "rows", "--queue")["job"]
    jobs.wait(lab, job)
    assert read(call, "datasets", "resolve", str(job), "--give-up") == {"given_up": job}
    assert read(call, "datasets", "stuck") is None


def test_a_model_is_written_only_by_a_run_that_has_one(call: Call, tmp_path: Path) -> None:
    code, out, err = call("tuning", "export", "999", str(tmp_path / "model.zip"))
    assert (code, out) == (2, "")
    assert "999" in err


def test_an_interrupted_command_keeps_what_was_written(
    lab: LabContext, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    pieces = Stream.__iter__

    def interrupted(stream: Stream) -> Iterator[str]:
        yield next(pieces(stream))
        raise KeyboardInterrupt

    monkeypatch.setattr(Stream, "__iter__", interrupted)
    slow = fake_answers({"Once": "one two three four five six seven eight"}, pause=0.05)
    Lab(lab).models.add(slow, "slow")
    code, out, err = call("generate", "--model", "slow", "--prompt", "Once", "--max-new-tokens", "50")
    assert code == 130
    number = int(err.split("run ")[1].split()[0])
    run = Lab(lab).run(number)
    assert run.text.startswith(out.strip())
    assert run.view.status == "cancelled"


def test_models_are_loaded_and_unloaded_in_this_process(lab: LabContext) -> None:
    api = Lab(lab)
    assert api.models.load("fake").status == "loaded"
    assert "fake" in api.models.budget().loaded
    assert api.models.unload("fake").status == "ready"
    assert api.models.check("fake").source.backend == "fake"

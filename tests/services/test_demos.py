"""A demo keeps nothing without consent; votes land in its campaign once; limits and links hold."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

import app as program
from genai_lab.cli import main
from genai_lab.context import LabContext
from genai_lab.errors import LabError
from genai_lab.feedback.masking import MASK, Streamed, mask_names, pattern
from genai_lab.services import feedback, lineage, models
from genai_lab.services.feedback import demos, exporting, figures, visits, warming
from genai_lab.services.feedback.demos import DemoPlan
from genai_lab.web.demo_limits import DemoLimits
from storage.tables import Run
from tests.tiny import open_lab, random_model

GREEDY = {"max_new_tokens": 8, "greedy": True}  # what is drawn may end early
PLAN = DemoPlan("Ours", ("tiny", "other"), ("Once upon",), "An intro.", GREEDY, longest=100, a_minute=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    folder = tmp_path_factory.mktemp("models")
    folders = {"tiny": random_model(folder / "tiny"), "other": random_model(folder / "other", seed=1)}
    opened_lab = open_lab(tmp_path_factory.mktemp("home"), **folders)
    yield opened_lab
    opened_lab.close()


@pytest.fixture(scope="module")
def web(lab: LabContext) -> Any:
    return program.create(lab)


def visitor(web: Any, view: demos.DemoView, client: TestClient | None = None) -> tuple[TestClient, str]:
    client = client or TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    came = client.get(client.get(view.path).headers["location"])
    assert came.status_code == 303
    return client, came.headers["location"]


def agreed(client: TestClient, address: str) -> None:
    assert client.post(f"{address}consent", json={"agreed": True}).json() == {"consented": True}


def voted(client: TestClient, address: str, key: str, verdict: str = "a") -> Any:
    return client.post(f"{address}vote", json={"key": key, "verdict": verdict})


def answers_to(client: TestClient, address: str, prompt: str = "Once upon") -> list[dict[str, Any]]:
    answer = client.post(f"{address}answer", json={"prompt": prompt})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def runs(lab: LabContext) -> int:
    with lab.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(Run.kind == "generate")) or 0


def test_nothing_is_kept_without_consent_and_a_vote_once_with_it(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, PLAN)
    client, address = visitor(web, view)
    before = runs(lab)
    lines = answers_to(client, address)
    key = lines[-1]["key"]
    assert {line["side"]: line["end"] for line in lines[:-1] if "end" in line} == {0: "length", 1: "length"}
    assert "tiny" not in json.dumps(lines)
    assert "consent" in voted(client, address, key).json()["error"]
    assert (runs(lab), demos.show(lab, view.id).visitors) == (before, 0)
    for _ in range(2):
        agreed(client, address)
    assert client.get(f"{address}state").json()["consented"] is True
    assert demos.show(lab, view.id).visitors == 0  # the first vote writes the visitor down
    for _ in range(2):
        assert voted(client, address, key).json() == {"saved": True}
    assert "first vote stands" in voted(client, address, key, "b").json()["error"]
    assert runs(lab) == before + 2
    (result,) = exporting.rankings(lab, view.campaign)
    assert (result["annotator"], result["groups"], result["shown"]) == ("visitor 1", [[0], [1]], [0, 1])
    assert result["completions"] == [
        "".join(line["text"] for line in lines if line.get("side") == n and "text" in line) for n in (0, 1)
    ]
    assert result["seconds"] > 0
    assert (demos.show(lab, view.id).votes, demos.show(lab, view.id).visitors) == (1, 1)
    (pair,) = exporting.pairs(lab, view.campaign)
    assert {pair.chosen_system, pair.rejected_system} == {"tiny", "other"}
    assert pair.prompt == "Once upon"
    assert {row.system for row in figures.leaderboard(lab, view.campaign).rows} == {"tiny", "other"}
    assert exporting.to_dataset(lab, view.campaign).rows == 1
    assert lineage.walk(lab, "tiny").of("model")


def test_what_cannot_be_asked_or_voted_is_one_sentence(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Limits", a_minute=2))
    client, address = visitor(web, view)
    for sent, arguments in (
        ({"prompt": "x" * 200}, "at most 100"),
        ({"prompt": " "}, "empty"),
        ({"prompt": 3}, "as text"),
    ):
        assert arguments in client.post(f"{address}answer", json=sent).json()["error"]
    half = client.post(f"{address}answer", content=b'{"prompt": "a\\ud800b"}')
    assert (half.status_code, "half a character" in half.json()["error"]) == (422, True)
    assert [client.post(f"{address}answer", json={"prompt": "x"}).status_code for _ in range(2)] == [200, 200]
    visitor(web, view, client)  # the link, opened again, makes nobody new
    late = client.post(f"{address}answer", json={"prompt": "x"})
    assert (late.status_code, late.json()["wait"] > 0) == (429, True)
    other, _ = visitor(web, view)
    agreed(client, address)
    agreed(other, address)
    key = answers_to(other, address)[-1]["key"]
    assert "are gone" in voted(client, address, key).json()["error"]
    assert "Verdict" in voted(other, address, key, "c").json()["error"]
    feedback.move(lab, view.campaign, "paused")
    assert "takes no votes" in voted(other, address, key).json()["error"]
    demos.close(lab, view.id)
    assert "closed" in voted(other, address, key).json()["error"]
    assert other.get(f"{address}state").json()["closed"] is True
    assert "closed" in other.post(f"{address}answer", json={"prompt": "x"}).json()["error"]
    demos.reopen(lab, view.id)
    assert voted(other, address, key).json() == {"saved": True}
    feedback.discard(lab, demos.create(lab, replace(PLAN, title="Gone")).campaign)


def test_all_visitors_together_have_a_limit(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Hour", an_hour=1))
    first, address = visitor(web, view)
    assert answers_to(first, address)
    second, _ = visitor(web, view)
    assert "min" in second.post(f"{address}answer", json={"prompt": "x"}).json()["error"]


def test_cookies_of_one_address_share_its_limits(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Address"))
    codes = []
    for _ in range(50):
        fresh = TestClient(web, base_url="http://127.0.0.1", client=("10.7.7.7", 1), follow_redirects=False)
        codes.append(fresh.get(fresh.get(view.path).headers["location"]).status_code)
    assert codes == [303] * 30 + [429] * 20
    elsewhere = TestClient(web, base_url="http://127.0.0.1", client=("10.7.7.8", 1), follow_redirects=False)
    visitor(web, view, elsewhere)
    assert elsewhere.post(f"/demo/{view.id}/consent", json={"agreed": True}).status_code == 200
    assert demos.show(lab, view.id).visitors == 0


def test_one_address_leaves_half_of_an_hour_to_others(lab: LabContext) -> None:
    limits, view = DemoLimits(), demos.create(lab, replace(PLAN, title="Fair", an_hour=40, a_minute=4))
    assert [limits.prompt(view, "ann", "a") for _ in range(5)][-1] > 0  # the cookie's own limit
    got = [sum(not limits.prompt(view, f"{who} {n}", who) for n in range(100)) for who in ("a", "b", "c", "d")]
    assert got == [16, 10, 5, 3]
    assert limits.prompt(view, "a 1", "a") > 3000


def test_a_forged_consent_keeps_nothing(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Forged"))
    client, address = visitor(web, view)
    other, _ = visitor(web, view)
    agreed(other, address)
    key = answers_to(client, address)[-1]["key"]
    client.cookies.set(f"consent_{view.id}", other.cookies[f"consent_{view.id}"], path=address)
    assert "consent" in voted(client, address, key).json()["error"]


def test_a_visitor_is_answered_once_at_a_time_and_what_was_stopped_is_not_voted_on(lab: LabContext) -> None:
    view = demos.create(lab, replace(PLAN, title="Stop", sampling={"max_new_tokens": 256}))
    item = visits.draw(lab, view, "ann", "Once upon")
    with pytest.raises(visits.Busy):
        visits.draw(lab, view, "ann", "again")
    assert [side.card.name for side, _, _ in item.sides] in (["tiny", "other"], ["other", "tiny"])
    visits.stop(view.id, "ann")
    assert list(visits.read(item))[-1]["key"] is None
    assert not visits.answering(view.id, "ann")
    abandoned = visits.read(visits.draw(lab, view, "ann", "Once upon"))
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    assert not visits.answering(view.id, "ann")


def test_no_problem_names_a_model(lab: LabContext, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view = demos.create(lab, replace(PLAN, title="Blind", longest=5000))
    client, address = visitor(web, view)
    long = client.post(f"{address}answer", json={"prompt": "word " * 900})
    assert long.json()["error"] == "The prompt is too long for these models; shorten it."

    def missing(*_: Any) -> None:
        raise LabError("tiny is missing: the folder /somewhere is gone.")

    monkeypatch.setattr(visits.models, "load", missing)
    content = client.post(f"{address}answer", json={"prompt": "x"}).json()["error"]
    assert content == "The models cannot answer at the moment; try again later."
    assert not visits.answering(view.id, "x")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_names_are_hidden_while_text_streams(size: int) -> None:
    systems = ("my great model", "org/llama-9b", "tiny")
    full = "I am LLAMA-9B, not llama. My great model? My great-aunt; xtiny tinyx tiny"
    stream, supplied = Streamed(systems), []
    for index in range(0, len(full), size):
        supplied.append(stream.push(full[index : index + size]))
        assert not any(name in "".join(supplied).lower() for name in ("llama-9b", "my great model", "llama."))
    assert "".join(supplied) + stream.rest() == mask_names(full, pattern(systems))
    assert (Streamed(systems).push("a" * 50), MASK) == ("a" * 35, "[model]")


def test_a_visitors_cookie_opens_the_demo_alone(lab: LabContext, web: Any) -> None:
    view, other = (demos.create(lab, replace(PLAN, title=f"Doors {n}")) for n in range(2))
    client, address = visitor(web, view)
    cookie = {"cookie": "; ".join(f"{item.name}={item.value}" for item in client.cookies.jar)}
    elsewhere = f"{demos.ADDRESS}/{other.id}/"
    fresh = TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    assert fresh.get(f"{elsewhere}state", headers=cookie).status_code == 403
    assert fresh.post(f"{elsewhere}answer", headers=cookie, json={"prompt": "x"}).status_code == 403
    assert fresh.get(address).status_code == 403
    assert "script-src 'self';" in client.get(address).headers["content-security-policy"]
    lab.config = replace(lab.config, owner_password="a lead's password")
    try:
        for path in ("/", "/config", "/feedback", "/gradio_api/info", "/gradio_api/queue/join"):
            for method in ("GET", "POST"):
                assert fresh.request(method, path, headers=cookie).status_code == 403
        assert client.get(f"{address}state").status_code == 200
    finally:
        lab.config = replace(lab.config, owner_password="")


def test_a_demo_takes_two_models_at_least(lab: LabContext, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="2 to 6 models"):
        demos.create(lab, DemoPlan("One", ("tiny", "tiny")))
    with pytest.raises(LabError, match="no model"):
        demos.create(lab, DemoPlan("None", ("tiny", "nobody")))


def test_the_command_sets_settings_and_limits_and_renews_a_link(
    lab: LabContext, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genai_lab.bootstrap.open_lab", lambda config: lab)
    monkeypatch.setattr(LabContext, "close", lambda self: None)
    arguments = ["demo", "create", "--title", "Limited", "--model", "tiny", "--model", "other", "--json"]
    assert main([*arguments, "--preset", "greedy", "--temperature", "0.5", "--longest", "50", "--an-hour", "7"]) == 0
    output = json.loads(capsys.readouterr().out)
    plan = demos.show(lab, output["demo"]).plan
    assert (plan.longest, plan.a_minute, plan.an_hour) == (50, 6, 7)
    assert (plan.drawing.greedy, plan.drawing.temperature) == (False, 0.5)
    assert main(["demo", "link", str(output["demo"]), "--renew", "--json"]) == 0
    link = json.loads(capsys.readouterr().out)["link"]
    assert demos.find_by_secret(lab, output["link"].rpartition("/")[2]) is None
    assert demos.find_by_secret(lab, link.rpartition("/")[2]) is not None
    assert main([*arguments, "--a-minute", "0"]) == 2
    assert "Prompts of a visitor a minute is 0, but it must be a whole number" in capsys.readouterr().err


def test_a_demo_reveals_names_and_results_after_the_vote_where_its_maker_wants_that(lab: LabContext, web: Any) -> None:
    shows = {"subtitle": "Two of ours", "contact": "lab@example.org", "reveal": True, "board": True}
    view = demos.create(lab, replace(PLAN, title="Revealing", **shows))
    client, address = visitor(web, view)
    state = client.get(f"{address}state").json()
    assert (state["subtitle"], state["contact"]) == ("Two of ours", "lab@example.org")
    assert "tiny" not in json.dumps(state)
    key = answers_to(client, address)[-1]["key"]
    agreed(client, address)
    content = voted(client, address, key, "b").json()
    assert sorted(content["names"]) == ["other", "tiny"]
    winner, loser = content["names"][::-1]
    assert content["board"] == [
        {"model": winner, "votes": 1, "share": 1.0},
        {"model": loser, "votes": 1, "share": 0.0},
    ]
    key = answers_to(client, address)[-1]["key"]
    assert {item["share"] for item in voted(client, address, key, "tie").json()["board"]} == {0.75, 0.25}
    with pytest.raises(LabError, match="at most 200 characters"):
        replace(PLAN, subtitle="x" * 201)


def test_the_models_of_a_demo_are_loaded_when_its_link_is_opened_and_when_the_app_starts(
    lab: LabContext, web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tiny", "other"):
        lab.models.unload(name)
    view = demos.create(lab, replace(PLAN, title="Warm"))
    assert warming.readiness(lab, view.plan.models).as_dict() == {"ready": 0, "models": 2}
    load, go = models.load, threading.Event()

    def slow(lab: LabContext, name: str) -> Any:
        assert go.wait(60)
        return load(lab, name)

    monkeypatch.setattr(models, "load", slow)
    client, address = visitor(web, view)
    assert client.get(f"{address}loading").json() == {"ready": 0, "models": 2}
    go.set()
    warming.warmth(lab).wait(60)
    assert client.get(f"{address}loading").json() == {"ready": 2, "models": 2}
    lab.models.unload("tiny")
    warming.warm_open(lab)
    warming.warmth(lab).wait(60)
    assert warming.readiness(lab, view.plan.models).complete


def test_a_model_that_cannot_be_loaded_holds_nobody_up(lab: LabContext) -> None:
    lab.models.unload("other")
    warming.warm(lab, ["gone", "other"])
    warming.warmth(lab).wait(60)
    assert warming.readiness(lab, ["gone", "other"]).as_dict() == {"ready": 1, "models": 2}

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
    place = tmp_path_factory.mktemp("models")
    folders = {"tiny": random_model(place / "tiny"), "other": random_model(place / "other", seed=1)}
    made = open_lab(tmp_path_factory.mktemp("home"), **folders)
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(lab: LabContext) -> Any:
    return program.create(lab)


def visitor(web: Any, view: demos.DemoView, client: TestClient | None = None) -> tuple[TestClient, str]:
    client = client or TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    came = client.get(client.get(view.path).headers["location"])
    assert came.status_code == 303
    return client, came.headers["location"]


def agreed(client: TestClient, place: str) -> None:
    assert client.post(f"{place}consent", json={"agreed": True}).json() == {"consented": True}


def voted(client: TestClient, place: str, key: str, verdict: str = "a") -> Any:
    return client.post(f"{place}vote", json={"key": key, "verdict": verdict})


def asked(client: TestClient, place: str, prompt: str = "Once upon") -> list[dict[str, Any]]:
    answer = client.post(f"{place}answer", json={"prompt": prompt})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def runs(lab: LabContext) -> int:
    with lab.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(Run.kind == "generate")) or 0


def test_nothing_is_kept_without_consent_and_a_vote_once_with_it(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, PLAN)
    client, place = visitor(web, view)
    before = runs(lab)
    lines = asked(client, place)
    key = lines[-1]["key"]
    assert {line["side"]: line["end"] for line in lines[:-1] if "end" in line} == {0: "length", 1: "length"}
    assert "tiny" not in json.dumps(lines)
    assert "consent" in voted(client, place, key).json()["error"]
    assert (runs(lab), demos.show(lab, view.id).visitors) == (before, 0)
    for _ in range(2):
        agreed(client, place)
    assert client.get(f"{place}state").json()["consented"] is True
    assert demos.show(lab, view.id).visitors == 0  # the first vote writes the visitor down
    for _ in range(2):
        assert voted(client, place, key).json() == {"saved": True}
    assert "first vote stands" in voted(client, place, key, "b").json()["error"]
    assert runs(lab) == before + 2
    (found,) = exporting.rankings(lab, view.campaign)
    assert (found["annotator"], found["groups"], found["shown"]) == ("visitor 1", [[0], [1]], [0, 1])
    assert found["completions"] == [
        "".join(one["text"] for one in lines if one.get("side") == n and "text" in one) for n in (0, 1)
    ]
    assert found["seconds"] > 0
    assert (demos.show(lab, view.id).votes, demos.show(lab, view.id).visitors) == (1, 1)
    (pair,) = exporting.pairs(lab, view.campaign)
    assert {pair.chosen_system, pair.rejected_system} == {"tiny", "other"}
    assert pair.prompt == "Once upon"
    assert {row.system for row in figures.leaderboard(lab, view.campaign).rows} == {"tiny", "other"}
    assert exporting.to_dataset(lab, view.campaign).rows == 1
    assert lineage.walk(lab, "tiny").of("model")


def test_what_cannot_be_asked_or_voted_is_one_sentence(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Limits", a_minute=2))
    client, place = visitor(web, view)
    for sent, words in (({"prompt": "x" * 200}, "at most 100"), ({"prompt": " "}, "empty"), ({"prompt": 3}, "as text")):
        assert words in client.post(f"{place}answer", json=sent).json()["error"]
    half = client.post(f"{place}answer", content=b'{"prompt": "a\\ud800b"}')
    assert (half.status_code, "half a character" in half.json()["error"]) == (422, True)
    assert [client.post(f"{place}answer", json={"prompt": "x"}).status_code for _ in range(2)] == [200, 200]
    visitor(web, view, client)  # the link, opened again, makes nobody new
    late = client.post(f"{place}answer", json={"prompt": "x"})
    assert (late.status_code, late.json()["wait"] > 0) == (429, True)
    other, _ = visitor(web, view)
    agreed(client, place)
    agreed(other, place)
    key = asked(other, place)[-1]["key"]
    assert "are gone" in voted(client, place, key).json()["error"]
    assert "Verdict" in voted(other, place, key, "c").json()["error"]
    feedback.move(lab, view.campaign, "paused")
    assert "takes no votes" in voted(other, place, key).json()["error"]
    demos.close(lab, view.id)
    assert "closed" in voted(other, place, key).json()["error"]
    assert other.get(f"{place}state").json()["closed"] is True
    assert "closed" in other.post(f"{place}answer", json={"prompt": "x"}).json()["error"]
    demos.reopen(lab, view.id)
    assert voted(other, place, key).json() == {"saved": True}
    feedback.discard(lab, demos.create(lab, replace(PLAN, title="Gone")).campaign)


def test_all_visitors_together_have_a_limit(lab: LabContext, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Hour", an_hour=1))
    first, place = visitor(web, view)
    assert asked(first, place)
    second, _ = visitor(web, view)
    assert "min" in second.post(f"{place}answer", json={"prompt": "x"}).json()["error"]


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
    client, place = visitor(web, view)
    other, _ = visitor(web, view)
    agreed(other, place)
    key = asked(client, place)[-1]["key"]
    client.cookies.set(f"consent_{view.id}", other.cookies[f"consent_{view.id}"], path=place)
    assert "consent" in voted(client, place, key).json()["error"]


def test_a_visitor_is_answered_once_at_a_time_and_what_was_stopped_is_not_voted_on(lab: LabContext) -> None:
    view = demos.create(lab, replace(PLAN, title="Stop", sampling={"max_new_tokens": 256}))
    one = visits.draw(lab, view, "ann", "Once upon")
    with pytest.raises(visits.Busy):
        visits.draw(lab, view, "ann", "again")
    assert [side.card.name for side, _, _ in one.sides] in (["tiny", "other"], ["other", "tiny"])
    visits.stop(view.id, "ann")
    assert list(visits.read(one))[-1]["key"] is None
    assert not visits.answering(view.id, "ann")
    abandoned = visits.read(visits.draw(lab, view, "ann", "Once upon"))
    next(abandoned)
    abandoned.close()  # type: ignore[attr-defined]
    assert not visits.answering(view.id, "ann")


def test_no_problem_names_a_model(lab: LabContext, web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    view = demos.create(lab, replace(PLAN, title="Blind", longest=5000))
    client, place = visitor(web, view)
    long = client.post(f"{place}answer", json={"prompt": "word " * 900})
    assert long.json()["error"] == "The prompt is too long for these models; shorten it."

    def missing(*_: Any) -> None:
        raise LabError("tiny is missing: the folder /somewhere is gone.")

    monkeypatch.setattr(visits.models, "load", missing)
    told = client.post(f"{place}answer", json={"prompt": "x"}).json()["error"]
    assert told == "The models cannot answer at the moment; try again later."
    assert not visits.answering(view.id, "x")


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_names_are_hidden_while_text_streams(size: int) -> None:
    systems = ("my great model", "org/llama-9b", "tiny")
    whole = "I am LLAMA-9B, not llama. My great model? My great-aunt; xtiny tinyx tiny"
    stream, given = Streamed(systems), []
    for place in range(0, len(whole), size):
        given.append(stream.push(whole[place : place + size]))
        assert not any(name in "".join(given).lower() for name in ("llama-9b", "my great model", "llama."))
    assert "".join(given) + stream.rest() == mask_names(whole, pattern(systems))
    assert (Streamed(systems).push("a" * 50), MASK) == ("a" * 35, "[model]")


def test_a_visitors_cookie_opens_the_demo_alone(lab: LabContext, web: Any) -> None:
    view, other = (demos.create(lab, replace(PLAN, title=f"Doors {n}")) for n in range(2))
    client, place = visitor(web, view)
    cookie = {"cookie": "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)}
    elsewhere = f"{demos.ADDRESS}/{other.id}/"
    fresh = TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    assert fresh.get(f"{elsewhere}state", headers=cookie).status_code == 403
    assert fresh.post(f"{elsewhere}answer", headers=cookie, json={"prompt": "x"}).status_code == 403
    assert fresh.get(place).status_code == 403
    assert "script-src 'self';" in client.get(place).headers["content-security-policy"]
    lab.config = replace(lab.config, owner_password="a lead's password")
    try:
        for path in ("/", "/config", "/feedback", "/gradio_api/info", "/gradio_api/queue/join"):
            for method in ("GET", "POST"):
                assert fresh.request(method, path, headers=cookie).status_code == 403
        assert client.get(f"{place}state").status_code == 200
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
    words = ["demo", "create", "--title", "Limited", "--model", "tiny", "--model", "other", "--json"]
    assert main([*words, "--preset", "greedy", "--temperature", "0.5", "--longest", "50", "--an-hour", "7"]) == 0
    made = json.loads(capsys.readouterr().out)
    plan = demos.show(lab, made["demo"]).plan
    assert (plan.longest, plan.a_minute, plan.an_hour) == (50, 6, 7)
    assert (plan.drawing.greedy, plan.drawing.temperature) == (False, 0.5)
    assert main(["demo", "link", str(made["demo"]), "--renew", "--json"]) == 0
    link = json.loads(capsys.readouterr().out)["link"]
    assert demos.find_by_secret(lab, made["link"].rpartition("/")[2]) is None
    assert demos.find_by_secret(lab, link.rpartition("/")[2]) is not None
    assert main([*words, "--a-minute", "0"]) == 2
    assert "Prompts of a visitor a minute is 0, but it must be a whole number" in capsys.readouterr().err


def test_a_demo_reveals_names_and_results_after_the_vote_where_its_maker_wants_that(lab: LabContext, web: Any) -> None:
    shows = {"subtitle": "Two of ours", "contact": "lab@example.org", "reveal": True, "board": True}
    view = demos.create(lab, replace(PLAN, title="Revealing", **shows))
    client, place = visitor(web, view)
    state = client.get(f"{place}state").json()
    assert (state["subtitle"], state["contact"]) == ("Two of ours", "lab@example.org")
    assert "tiny" not in json.dumps(state)
    key = asked(client, place)[-1]["key"]
    agreed(client, place)
    told = voted(client, place, key, "b").json()
    assert sorted(told["names"]) == ["other", "tiny"]
    winner, loser = told["names"][::-1]
    assert told["board"] == [
        {"model": winner, "votes": 1, "share": 1.0},
        {"model": loser, "votes": 1, "share": 0.0},
    ]
    key = asked(client, place)[-1]["key"]
    assert {one["share"] for one in voted(client, place, key, "tie").json()["board"]} == {0.75, 0.25}
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
    client, place = visitor(web, view)
    assert client.get(f"{place}loading").json() == {"ready": 0, "models": 2}
    go.set()
    warming.warmth(lab).wait(60)
    assert client.get(f"{place}loading").json() == {"ready": 2, "models": 2}
    lab.models.unload("tiny")
    warming.warm_open(lab)
    warming.warmth(lab).wait(60)
    assert warming.readiness(lab, view.plan.models).complete


def test_a_model_that_cannot_be_loaded_holds_nobody_up(lab: LabContext) -> None:
    lab.models.unload("other")
    warming.warm(lab, ["gone", "other"])
    warming.warmth(lab).wait(60)
    assert warming.readiness(lab, ["gone", "other"]).as_dict() == {"ready": 1, "models": 2}

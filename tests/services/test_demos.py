"""A demo keeps nothing without consent; votes land in its campaign once; limits and links hold."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select

import app as program
from genai_lab.errors import LabError
from genai_lab.lab import Lab
from genai_lab.services import lineage
from genai_lab.services.feedback import demos, exporting, figures
from genai_lab.services.feedback.demos import DemoPlan
from storage.tables import Run
from tests.tiny import open_lab, random_model

PLAN = DemoPlan("Ours", ("tiny", "other"), ("Once upon",), "An intro.", {"max_new_tokens": 8}, longest=100, a_minute=30)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    place = tmp_path_factory.mktemp("models")
    folders = {"tiny": random_model(place / "tiny"), "other": random_model(place / "other", seed=1)}
    made = open_lab(tmp_path_factory.mktemp("home"), **folders)
    yield made
    made.close()


@pytest.fixture(scope="module")
def web(lab: Lab) -> Any:
    return program.create(lab)


def visitor(web: Any, view: demos.DemoView) -> tuple[TestClient, str]:
    client = TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    came = client.get(view.path)
    assert came.status_code == 303
    return client, came.headers["location"]


def asked(client: TestClient, place: str, prompt: str = "Once upon") -> list[dict[str, Any]]:
    answer = client.post(f"{place}answer", json={"prompt": prompt})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def runs(lab: Lab) -> int:
    with lab.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Run).where(Run.kind == "generate")) or 0


def test_nothing_is_kept_without_consent_and_a_vote_once_with_it(lab: Lab, web: Any) -> None:
    view = demos.create(lab, PLAN)
    client, place = visitor(web, view)
    lines = asked(client, place)
    key = lines[0]["key"]
    assert [line["side"] for line in lines if line.get("end")] != []
    assert "tiny" not in json.dumps(lines)
    before = runs(lab)
    refused = client.post(f"{place}vote", json={"key": key, "verdict": "a", "consent": False})
    assert (refused.status_code, runs(lab)) == (422, before)
    for _ in range(2):
        assert client.post(f"{place}vote", json={"key": key, "verdict": "a", "consent": True}).json() == {"saved": True}
    assert runs(lab) == before + 2
    assert demos.show(lab, view.id).votes == 1
    (pair,) = exporting.pairs(lab, view.campaign)
    assert {pair.chosen_system, pair.rejected_system} == {"tiny", "other"}
    assert pair.prompt == "Once upon"
    assert {row.system for row in figures.leaderboard(lab, view.campaign).rows} == {"tiny", "other"}
    assert exporting.to_dataset(lab, view.campaign).rows == 1
    assert lineage.walk(lab, "tiny").of("model")


def test_what_cannot_be_asked_or_voted_is_one_sentence(lab: Lab, web: Any) -> None:
    view = demos.create(lab, replace(PLAN, title="Limits", a_minute=2))
    client, place = visitor(web, view)
    for sent, words in (({"prompt": "x" * 200}, "at most 100"), ({"prompt": " "}, "empty"), ({"prompt": 3}, "as text")):
        assert words in client.post(f"{place}answer", json=sent).json()["error"]
    assert [client.post(f"{place}answer", json={"prompt": "x"}).status_code for _ in range(3)] == [200, 200, 429]
    other, _ = visitor(web, view)
    key = asked(other, place)[0]["key"]
    stolen = client.post(f"{place}vote", json={"key": key, "verdict": "a", "consent": True})
    assert "are gone" in stolen.json()["error"]
    assert "Verdict" in other.post(f"{place}vote", json={"key": key, "verdict": "c", "consent": True}).json()["error"]
    demos.close(lab, view.id)
    assert other.get(f"{place}state").json()["closed"] is True
    assert "closed" in other.post(f"{place}answer", json={"prompt": "x"}).json()["error"]
    demos.close(lab, view.id, closed=False)
    assert asked(other, place)


def test_a_visitors_cookie_opens_the_demo_alone(lab: Lab, web: Any) -> None:
    view, other = (demos.create(lab, replace(PLAN, title=f"Doors {n}")) for n in range(2))
    client, place = visitor(web, view)
    cookie = {"cookie": "; ".join(f"{one.name}={one.value}" for one in client.cookies.jar)}
    elsewhere = f"{demos.ADDRESS}/{other.id}/"
    fresh = TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)
    assert fresh.get(f"{elsewhere}state", headers=cookie).status_code == 403
    assert fresh.post(f"{elsewhere}answer", headers=cookie, json={"prompt": "x"}).status_code == 403
    assert fresh.get(place).status_code == 403
    assert "script-src 'self';" in client.get(place).headers["content-security-policy"]
    lab.config = replace(lab.config, lead_password="a lead's password")
    try:
        for path in ("/", "/config", "/feedback", "/gradio_api/info", "/gradio_api/queue/join"):
            for method in ("GET", "POST"):
                assert fresh.request(method, path, headers=cookie).status_code == 403
        assert client.get(f"{place}state").status_code == 200
    finally:
        lab.config = replace(lab.config, lead_password="")


def test_a_demo_takes_two_models_at_least(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(LabError, match="2 to 6 models"):
        demos.create(lab, DemoPlan("One", ("tiny", "tiny")))
    with pytest.raises(LabError, match="no model"):
        demos.create(lab, DemoPlan("None", ("tiny", "nobody")))

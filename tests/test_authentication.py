"""With an owner's password, an annotator's cookie opens the ranking routes alone, and no cookie opens nothing."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event
from sqlalchemy.exc import OperationalError
from starlette.routing import Mount
from starlette.websockets import WebSocketDisconnect

import app as program
from genai_lab.context import LabContext
from genai_lab.feedback import CampaignPlan, Option, RankingTask
from genai_lab.services import databases, feedback, sessions
from genai_lab.services.feedback import demos, links
from genai_lab.web.identity import SESSION_COOKIE
from genai_lab.web.paths import PUBLIC
from pages import PAGES
from tests.tiny import open_lab

PASSWORD = "the owner of this lab"
NAMED = ("/config", "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/file=x", "/gradio_api/heartbeat/x")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LabContext, FastAPI]]:
    lab = open_lab(tmp_path_factory.mktemp("home"))
    lab.config = replace(lab.config, owner_password=PASSWORD)
    tasks = [RankingTask(f"p{n}", (Option("a", f"x{n}"), Option("b", f"y{n}"))) for n in range(3)]
    feedback.create(lab, CampaignPlan("guarded", repeats=0.0), tasks)
    feedback.move(lab, "guarded", "open")
    yield lab, program.create(lab)
    lab.close()


def paths(app: Any, before: str = "") -> set[str]:
    """Every path of an application, and of what is mounted and included in it, with x for what a path leaves open."""
    names = set()
    for route in getattr(app, "routes", ()):
        path = before + re.sub(r"\{[^}]*\}", "x", getattr(route, "path", ""))
        inner = route.app if isinstance(route, Mount) else getattr(route, "original_router", None)
        names |= {path or "/"} if inner is None else paths(inner, path.rstrip("/"))
    return names


def browser(web: FastAPI) -> TestClient:
    return TestClient(web, base_url="http://127.0.0.1", follow_redirects=False)


def annotator(lab: LabContext, web: FastAPI, name: str = "ann") -> tuple[TestClient, str]:
    client = browser(web)
    came = client.get(links.invite(lab, "guarded", name).path)
    assert came.status_code == 303
    return client, came.headers["location"]


def test_a_personal_link_opens_the_card_and_its_routes(guarded: tuple[LabContext, FastAPI]) -> None:
    client, address = annotator(*guarded)
    cards = client.post(f"{address}next", json={"have": [], "want": 2}).json()["cards"]
    sent = {"key": cards[0]["key"], "revision": 0, "groups": [[0], [1]], "seconds": 1.0, "have": [], "want": 2}
    first = client.post(f"{address}answer", json=sent)
    assert first.status_code == 200
    assert first.json()["saved"] is True
    assert client.post(f"{address}answer", json=sent).json()["done"] == 1
    changed = client.post(f"{address}answer", json=sent | {"groups": [[1], [0]]})
    assert (changed.status_code, changed.json()["revision"]) == (409, 0)
    assert client.post(f"{address}answer", json=sent | {"groups": []}).status_code == 422
    assert client.post(f"{address}answer", json=sent | {"key": "none"}).status_code == 404
    assert client.post(f"{address}answer", content=b"[" * 100_000).status_code == 422
    assert client.get(f"{address}answers").json()["answers"][0]["groups"] == [[0], [1]]
    assert "script-src 'self';" in client.get(f"{address}state").headers["content-security-policy"]


def test_an_answer_that_can_never_be_kept_is_refused_for_good(guarded: tuple[LabContext, FastAPI]) -> None:
    lab, web = guarded
    feedback.create(lab, CampaignPlan("odd"), [RankingTask("p", (Option("a", "x"), Option("b", "y")))])
    feedback.move(lab, "odd", "open")
    client = browser(web)
    address = client.get(links.invite(lab, "odd", "ann").path).headers["location"]
    card = client.post(f"{address}next", json={"have": [], "want": 1}).json()["cards"][0]
    sent = {"key": card["key"], "revision": 0, "groups": [[0], [1]], "seconds": 1.0}
    half = "half \ud83d"
    for options in ({"comment": half}, {"skip": half}, {"key": half}, {"revision": 10**30}, {"groups": 0}):
        got = client.post(f"{address}answer", content=json.dumps(sent | options))
        assert got.status_code == 422
        assert got.json()["error"].endswith(".")
    assert client.post(f"{address}answer", json=sent | {"want": 10**30}).json()["saved"] is True


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999"])
def test_numbers_that_nothing_has_open_nothing(guarded: tuple[LabContext, FastAPI], number: str) -> None:
    client = browser(guarded[1])
    for path in (f"/rank/{number}/", f"/rank/{number}/state", f"/demo/{number}/", f"/demo/{number}/with/x"):
        assert client.get(path).status_code == 403
    for path in (f"/rank/{number}/answer", f"/rank/{number}/next", f"/demo/{number}/answer", f"/demo/{number}/vote"):
        assert client.post(path, json={}).status_code == 403


@pytest.mark.parametrize("until", ["²", "٣", "9" * 5000])
def test_odd_bytes_in_a_session_cookie_open_nothing(guarded: tuple[LabContext, FastAPI], until: str) -> None:
    cookie = f"{SESSION_COOKIE}=1.{until}.x.{'0' * 64}".encode("latin-1", "replace")
    assert browser(guarded[1]).get("/config", headers={"cookie": cookie}).status_code == 403  # type: ignore[dict-item]
    assert browser(guarded[1]).get("/sign-in?next=http://[").status_code == 200


def visitor(lab: LabContext, web: FastAPI) -> tuple[TestClient, str]:
    client = browser(web)
    view = demos.create(lab, demos.DemoPlan("Guarded", ("starter-causal", "starter-seq2seq")))
    came = client.get(client.get(view.path).headers["location"])
    assert came.status_code == 303
    return client, came.headers["location"]


@pytest.mark.parametrize("come", [annotator, visitor])
def test_an_annotators_or_visitors_cookie_opens_nothing_else(guarded: tuple[LabContext, FastAPI], come: Any) -> None:
    lab, web = guarded
    client, address = come(lab, web)
    _, other = annotator(lab, web, "bob")
    mine = {"cookie": "; ".join(f"{item.name}={item.value}" for item in client.cookies.jar)}
    every = {path for path in paths(web) if not path.startswith(PUBLIC)}
    assert every >= {*NAMED, "/", *(f"/{page}" for page in PAGES[1:])}
    for path in sorted(every):
        for method in ("GET", "POST"):
            got = browser(web).request(method, path, headers={**mine, "accept": "text/html"})
            assert got.status_code == 403, f"{method} {path} gave {got.status_code}"
    for path in ("", "state", "answers"):
        assert browser(web).get(f"{other}{path}", headers=mine).status_code == 403
    for path in ("next", "answer"):
        assert browser(web).post(f"{other}{path}", headers=mine, json={}).status_code == 403
    _, demo = visitor(lab, web)
    assert browser(web).get(f"{demo}state", headers=mine).status_code == 403
    for path in ("answer", "consent", "vote", "stop"):
        assert browser(web).post(f"{demo}{path}", headers=mine, json={}).status_code == 403
    with pytest.raises(WebSocketDisconnect) as closed, browser(web).websocket_connect("/queue/join", headers=mine):
        pass
    assert closed.value.code == 1008
    assert address != other


def test_the_owner_signs_in_and_out(guarded: tuple[LabContext, FastAPI]) -> None:
    _, web = guarded
    client = browser(web)
    sent = client.get("/jobs", headers={"accept": "text/html"})
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=/jobs")
    assert client.post("/sign-in", data={"password": "guess", "next": "/jobs"}).status_code == 403
    response = client.post("/sign-in", data={"password": PASSWORD, "next": "//elsewhere.example"})
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert client.get("/config").status_code == 200
    forged = f"1.{9_999_999_999}.x.{'0' * 64}"
    assert browser(web).get("/config", headers={"cookie": f"{SESSION_COOKIE}={forged}"}).status_code == 403
    assert client.cookies[SESSION_COOKIE].startswith(f"{sessions.OWNER_ID}.")
    client.post("/sign-out")
    assert client.get("/config").status_code == 403
    assert client.get("/lead").headers["location"] == "/sign-in"


def test_a_link_that_was_ended_is_one_sentence(guarded: tuple[LabContext, FastAPI]) -> None:
    lab, web = guarded
    client, address = annotator(lab, web, "gone")
    links.renew(lab, links.invite(lab, "guarded", "gone").annotator, revoke=True)
    assert client.post(f"{address}next", json={}).json() == {
        "error": "This link is no longer valid; ask whoever sent it for a new one."
    }
    assert browser(web).get("/rank/with/nothing").status_code == 403


def test_a_database_that_is_only_read_takes_no_answer_and_says_so(guarded: tuple[LabContext, FastAPI]) -> None:
    lab, web = guarded
    feedback.create(lab, CampaignPlan("only read"), [RankingTask("p", (Option("a", "x"), Option("b", "y")))])
    feedback.move(lab, "only read", "open")
    client = browser(web)
    address = client.get(links.invite(lab, "only read", "ann").path).headers["location"]
    card = client.post(f"{address}next", json={"have": [], "want": 1}).json()["cards"][0]
    sent = {"key": card["key"], "revision": 0, "groups": [[0], [1]], "seconds": 1.0}

    def only_read(connection: Any, *_: object) -> None:
        connection.execute("PRAGMA query_only = ON")

    event.listen(lab.database.writer, "checkout", only_read)
    try:
        refused = client.post(f"{address}answer", json=sent)
        assert client.get(f"{address}state").status_code == 200
    finally:
        event.remove(lab.database.writer, "checkout", only_read)
        lab.database.writer.dispose()
    assert (refused.status_code, "can only be read" in refused.json()["error"]) == (503, True)
    assert client.post(f"{address}answer", json=sent).json()["saved"] is True


def test_a_database_that_is_away_is_one_sentence(
    guarded: tuple[LabContext, FastAPI], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, address = annotator(*guarded, "steady")

    def away(*_: object) -> None:
        raise OperationalError("SELECT 1", {}, psycopg.OperationalError("connection refused, port 5432"))

    monkeypatch.setattr(links, "is_allowed", away)
    for got in (client.get(address), client.get(f"{address}state"), client.post(f"{address}next", json={})):
        assert (got.status_code, got.json()["error"]) == (503, databases.UNREACHABLE)


def test_passwords_are_not_tried_without_end(guarded: tuple[LabContext, FastAPI]) -> None:
    client = browser(guarded[1])
    codes = [client.post("/sign-in", data={"password": str(n)}).status_code for n in range(14)]
    assert codes[-1] == 429


def test_a_short_password_is_refused(tmp_path: Path) -> None:
    from genai_lab.config import Config
    from genai_lab.errors import LabError

    with pytest.raises(LabError, match="8 characters"):
        Config(home=tmp_path, owner_password="short")

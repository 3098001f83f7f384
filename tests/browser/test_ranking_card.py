"""The annotators' ranking page in Chromium, against a small server that can fail in the ways servers do."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.accessibility import SIZES, assert_accessible, serious_violations
from tests.browser.conftest import PATIENCE
from tests.browser.ranking_server import Item, RankingServer, items
from tests.waiting import until

LATE = "Not saved yet: kept in this browser; "
BIDI, WIDE = "\u202e", "W" * 900
HOSTILE = [
    "<script>window.ran = 1</script><img src=x onerror='window.ran = 1'><svg onload='window.ran = 1'>",
    f"{BIDI}txet desrever \x00\x07\x1b[31m \u0645\u0631\u062d\u0628\u0627 {WIDE}",
    "javascript:window.ran=1 {{constructor.constructor('window.ran=1')()}} ${window.ran=1}",
]
Start = Callable[..., tuple[RankingServer, Page]]


@pytest.fixture
def start(browser: Browser) -> Iterator[Start]:
    """start(items, size="phone", kind="ranking") -> (server, page), with nothing foreign fetched and no error."""
    servers: list[RankingServer] = []
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def starter(cards: list[Item], size: str = "wide", scheme: Any = "light", **campaign: Any) -> Any:
        server = RankingServer(cards, **campaign)
        servers.append(server)
        width, height = SIZES[size]
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        address = server.url.removesuffix("/rank/k3f9/")
        context.on("request", lambda item: faults.extend([] if item.url.startswith(address) else [item.url]))
        context.on("weberror", lambda error: faults.append(str(error.error)))
        context.on("console", lambda line: faults.extend([line.text] if "Content Security" in line.text else []))
        context.on("dialog", lambda dialog: dialog.accept())
        return server, visit(context.new_page(), server)

    yield starter
    for context in contexts:
        context.close()
    for server in servers:
        server.stop()
    assert not faults


def visit(page: Page, server: RankingServer) -> Page:
    page.goto(server.url)
    expect(page.locator("#card:visible, #state-head:visible").first).not_to_have_text(re.compile("Opening|Fetching"))
    return page


def revision(server: RankingServer, key: str) -> int:
    """The revision of the card's newest answer; -1 before there is any."""
    return len(server.answers.get(key, ())) - 1


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def prompt(page: Page) -> Any:
    return page.locator("#prompt-text")


def saving(page: Page) -> Any:
    return page.locator("#saving-text")


def test_ten_cards_by_keyboard(start: Start) -> None:
    server, page = start(items(10))
    for n, key in enumerate(["1", "a", "ArrowLeft", "2", "b", "ArrowRight", "t", "0", "ArrowDown", "x"]):
        expect(prompt(page)).to_have_text(f"Explain idea {n} in one sentence.")
        press(page, key, "Enter")
    expect(page.locator("#state-head")).to_have_text("All done, Ada. Thank you!")
    expect(page.locator("#state-text")).to_contain_text("You answered 10 cards. Everything is saved.")
    judged = [server.latest()[f"card{n}"] for n in range(10)]
    assert [item["groups"] for item in judged] == [[[0], [1]]] * 3 + [[[1], [0]]] * 3 + [[[0, 1]]] * 4
    assert [item["both_bad"] for item in judged] == [False] * 9 + [True]
    assert len(server.arrived) == 10


@pytest.mark.parametrize("trouble", ["fail", "drop", "restart"])
def test_an_answer_that_cannot_be_sent_is_kept_and_saved_once(start: Start, trouble: str) -> None:
    server, page = start(items(6))
    server.stop() if trouble == "restart" else setattr(server, "trouble", trouble)
    press(page, "1", "Enter", "2", "Enter")
    expect(prompt(page)).to_contain_text("idea 2")
    expect(saving(page)).to_have_text(LATE + "2 waiting")
    server.start() if trouble == "restart" else setattr(server, "trouble", None)
    expect(saving(page)).to_have_text("Saved")
    assert {key: len(revisions) for key, revisions in server.answers.items()} == {"card0": 1, "card1": 1}
    press(page, "1", "Enter", "1", "Enter", "1", "Enter", "1", "Enter")
    expect(page.locator("#state-head")).to_contain_text("All done")


def test_nothing_is_lost_by_a_reload_or_a_second_tab(start: Start) -> None:
    server, page = start(items(8))
    server.trouble = "fail"
    press(page, "1", "Enter", "2", "Enter", "t", "f")
    expect(saving(page)).to_have_text(LATE + "2 waiting")
    server.trouble = None
    other = visit(page.context.new_page(), server)
    until(lambda: len(server.answers) == 2)
    expect(other.locator("#figures")).to_contain_text("2 done")
    assert prompt(other).inner_text() not in prompt(page).inner_text()
    expect(saving(page)).to_have_text("Saved")
    other.close()
    page.reload()
    expect(prompt(page)).to_contain_text("idea 2")
    expect(page.locator("[data-act=tie]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#flag")).to_have_attribute("aria-pressed", "true")
    assert {len(revisions) for revisions in server.answers.values()} == {1}


def test_a_page_that_was_closed_while_the_server_was_away_sends_what_waits_when_it_is_opened_again(
    start: Start,
) -> None:
    server, page = start(items(6))
    server.stop()
    press(page, "1", "Enter", "2", "Enter")
    expect(saving(page)).to_have_text(LATE + "2 waiting")
    context = page.context
    page.close()
    server.start()
    page = visit(context.new_page(), server)
    expect(saving(page)).to_have_text("Saved")
    assert {key: item["groups"] for key, item in server.latest().items()} == {
        "card0": [[0], [1]],
        "card1": [[1], [0]],
    }
    expect(page.locator("#figures")).to_contain_text("2 done")


def test_however_long_the_server_was_away_the_next_try_is_soon(start: Start) -> None:
    server, page = start(items(4))
    page.clock.install()
    server.trouble = "fail"
    press(page, "1", "Enter")
    expect(saving(page)).to_have_text(LATE + "1 waiting")
    for _ in range(20):
        page.clock.run_for(3000)
    server.trouble = None
    page.clock.run_for(3000)
    expect(saving(page)).to_have_text("Saved")


def test_a_phone_opens_with_the_way_to_the_cards_and_scrolls_no_page(start: Start) -> None:
    cards = [{**item, "candidates": [{"text": "A completion of several lines. " * 9}] * 3} for item in items(3, 3)]
    _, page = start(cards, size="phone", kind="ranking", guidelines="Read the prompt.")
    page.get_by_role("button", name="Start ranking").click()
    expect(page.locator("#guidelines")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert page.evaluate("document.querySelector('#main').scrollHeight > document.querySelector('#main').clientHeight")
    page.locator("#open-guidelines").click()
    expect(page.get_by_role("button", name="Start ranking")).to_be_hidden()


def test_a_closing_page_warns_while_an_answer_is_unsent(start: Start) -> None:
    server, page = start(items(4))
    ask = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(ask) is False
    server.trouble = "fail"
    press(page, "1", "Enter")
    expect(saving(page)).to_have_text(LATE + "1 waiting")
    assert page.evaluate(ask) is True


def test_undo_skip_and_change(start: Start) -> None:
    server, page = start(items(5))
    press(page, "1", "c")
    page.keyboard.type("12x? close call")
    press(page, "Escape", "Enter", "s", "2")
    expect(prompt(page)).to_contain_text("idea 2")
    expect(page.locator("[data-act=second]")).to_have_attribute("aria-pressed", "false")
    press(page, "b", "u")
    expect(prompt(page)).to_contain_text("idea 1")
    press(page, "Control+z")
    expect(prompt(page)).to_contain_text("idea 0")
    expect(page.locator("[data-act=first]")).to_have_attribute("aria-pressed", "true")
    press(page, "2", "Enter")
    until(lambda: revision(server, "card0") == 1)
    changed = server.latest()["card0"]
    assert (changed["groups"], changed["comment"]) == ([[1], [0]], "12x? close call")
    page.locator("#open-answers").click()
    page.locator(".earlier", has_text="Skipped: cannot judge").click()
    expect(prompt(page)).to_contain_text("idea 1")
    press(page, "t", "Enter")
    until(lambda: revision(server, "card1") == 1)
    assert server.latest()["card1"]["skip"] is None
    expect(page.locator("[data-act=second]")).to_have_attribute("aria-pressed", "true")


def test_an_answer_that_was_changed_elsewhere_is_not_written_over(start: Start) -> None:
    server, page = start(items(3))
    press(page, "1", "Enter")
    expect(saving(page)).to_have_text("Saved")
    server.answers["card0"].append({**server.latest()["card0"], "revision": 1, "groups": [[0, 1]]})
    press(page, "u")
    expect(prompt(page)).to_contain_text("idea 0")
    press(page, "2", "Enter")
    notice = page.locator(".notice", has_text="changed elsewhere")
    expect(notice).to_be_visible()
    notice.get_by_role("button", name="Save this one").click()
    until(lambda: server.latest()["card0"]["groups"] == [[1], [0]])
    assert len(server.answers["card0"]) == 3


def test_ranking_by_drag_keys_and_ties(start: Start) -> None:
    server, page = start(items(4, 4), kind="ranking")
    slots = page.locator("#strip .slot")
    page.locator("#strip .pool [data-one='2']").drag_to(slots.nth(0))
    page.locator(".badge[data-one='0']").drag_to(slots.nth(0))  # onto another one: a tie
    press(page, "b", "2", "Enter")
    expect(page.locator("#hint")).to_contain_text("Give every candidate a place first")
    press(page, "d", "1", "Enter")
    until(lambda: "card0" in server.answers)
    assert server.latest()["card0"]["groups"] == [[3], [0, 2], [1]]
    press(page, "a", "4", "b", "3", "c", "1", "d", "2", "ArrowUp", "b", "=", "Enter")
    until(lambda: "card1" in server.answers)
    assert server.latest()["card1"]["groups"] == [[3], [1, 2], [0]]
    for name, slot in zip("ABCD", "4321", strict=True):
        page.get_by_role("button", name=f"{name} to place {slot}").click()
    page.keyboard.press("Enter")
    until(lambda: "card2" in server.answers)
    assert server.latest()["card2"]["groups"] == [[3], [2], [1], [0]]
    press(page, "b", "a", "d", "c", "Enter")  # letters alone, from the best to the worst
    until(lambda: "card3" in server.answers)
    assert server.latest()["card3"]["groups"] == [[1], [0], [3], [2]]


def test_ranking_by_finger(start: Start) -> None:
    server, page = start(items(1, 3), kind="ranking")
    finger = page.context.new_cdp_session(page)
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})

    def middle(locator: Any) -> dict[str, float]:
        box = locator.bounding_box()
        return {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}

    for item, slot in (("2", 0), ("0", 1), ("1", 2)):
        a = middle(page.locator(f"#strip .pool [data-one='{item}']"))
        b = middle(page.locator("#strip .slot").nth(slot))
        finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [a]})
        for part in (0.3, 0.7, 1.0):
            point = {name: a[name] + part * (b[name] - a[name]) for name in a}
            finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        expect(page.locator("#strip .slot").nth(slot).locator(f"[data-one='{item}']")).to_be_visible()
    page.locator("#submit").click()
    until(lambda: "card0" in server.answers)
    assert server.latest()["card0"]["groups"] == [[2], [0], [1]]


@pytest.mark.parametrize(("kind", "count"), [("pairwise", 2), ("ranking", 6)])
def test_hostile_texts_stay_texts_and_the_page_is_accessible(start: Start, kind: str, count: int) -> None:
    texts = [{"text": HOSTILE[n % 3]} for n in range(count)]
    cards = [{"key": f"<b>{n}", "prompt": "\n\n".join(HOSTILE) * 2, "candidates": texts} for n in range(5)]
    _, page = start(cards, kind=kind, title=HOSTILE[0], guidelines="\n\n- ".join(HOSTILE))
    expect(page.locator(".candidate .text").first).to_contain_text("<script>")
    assert_accessible(page)
    page.locator("#guidelines .line .close").click()
    press(page, "s", "4")
    expect(saving(page)).to_have_text("Saved")
    page.locator("#open-answers").click()
    expect(page.locator(".earlier")).to_contain_text("<script>")
    assert serious_violations(page) == []
    assert page.evaluate("window.ran") is None
    assert page.evaluate("document.querySelectorAll('body script, body img, .text *').length") == 0


def test_storage_that_is_corrupt_or_absent_is_told(start: Start) -> None:
    server, page = start(items(4))
    page.evaluate("localStorage.setItem('rank:/rank/k3f9/:out:card0:0:x', '{broken')")
    press(page, "1", "Enter")
    expect(page.locator(".notice")).to_contain_text("could not be read")
    expect(saving(page)).to_have_text("Saved")
    page.add_init_script("Object.defineProperty(window, 'localStorage', {get() { throw new Error('blocked'); }})")
    visit(page, server)
    expect(page.locator(".notice")).to_contain_text("keeps nothing")
    press(page, "1", "Enter")
    expect(saving(page)).to_have_text("Saved")


def test_states_without_a_card(start: Start) -> None:
    server, page = start(items(3))
    for status, head in (("paused", "is paused"), ("closed", "is closed"), ("draft", "has not begun")):
        server.status = status
        visit(page, server)
        expect(page.locator("#state-head")).to_contain_text(head)
    server.status = "open"
    page.get_by_role("button", name="Look again").click()
    expect(prompt(page)).to_contain_text("idea 0")
    server.valid = False
    press(page, "1", "Enter")
    expect(page.locator("#state-head")).to_have_text("This link is no longer valid")
    expect(page.locator("#state-text")).to_contain_text("1 answer not saved yet is kept in this browser")

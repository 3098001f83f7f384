"""The real server: whose address is believed, how often a password is tried, what a stranger may send."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.services import sessions
from genai_lab.web.identity import BROWSER_COOKIE, SESSION_COOKIE
from genai_lab.web.rate_limits import Backoff, RateLimit
from genai_lab.web.server import RepeatFilter
from tests.serving import WAIT, opened, serving
from tests.tiny import open_lab

PASSWORD = "the owner of this lab"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabContext]:
    opened_lab = open_lab(tmp_path_factory.mktemp("home"))
    opened_lab.config = replace(opened_lab.config, owner_password=PASSWORD)
    yield opened_lab
    opened_lab.close()


def login(address: str, password: str, cookies: dict[str, str] | None = None, **headers: str) -> httpx.Response:
    options = {name.replace("_", "-"): value for name, value in headers.items()}
    if cookies:
        options["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return httpx.post(f"{address}/sign-in", data={"password": password}, headers=options, timeout=WAIT)


@pytest.fixture(scope="module")
def web(lab: LabContext) -> Any:
    import gradio as gr

    from pages.mount import mount

    def build(_: LabContext) -> gr.Blocks:
        with gr.Blocks() as blocks:
            gr.Markdown("the lab")
        return blocks

    return mount(lab, build)


@pytest.fixture(scope="module")
def behind_proxy(lab: LabContext, web: Any) -> Iterator[str]:
    """The address of the lab as a reverse proxy on this machine reaches it."""
    with serving(web, replace(lab.config, trusted_proxies=("127.0.0.1",))) as address:
        yield address


def test_a_forged_address_does_not_pass_the_throttle_which_keeps_no_known_browser_out(
    lab: LabContext, web: Any
) -> None:
    with serving(web, lab.config) as address:
        own_result = [dict(login(address, PASSWORD).cookies) for _ in range(12)][-1]  # no failed tries
        assert set(own_result) == {SESSION_COOKIE, BROWSER_COOKIE}
        for n in range(10):
            assert login(address, f"wrong{n}", x_forwarded_for=f"10.9.0.{n}").status_code == 403
        for password in ("wrong", PASSWORD):
            assert login(address, password, x_forwarded_for="10.9.1.1").status_code == 429
        assert login(address, PASSWORD, own_result).status_code == 303
        assert login(address, PASSWORD, {BROWSER_COOKIE: own_result[BROWSER_COOKIE]}).status_code == 303
        assert login(address, PASSWORD, {BROWSER_COOKIE: own_result[BROWSER_COOKIE][:-1] + "x"}).status_code == 429
        assert (
            "secure"
            not in login(address, PASSWORD, own_result, x_forwarded_proto="https").headers["set-cookie"].lower()
        )


def test_a_listed_proxy_is_believed(behind_proxy: str) -> None:
    for n in range(10):
        assert login(behind_proxy, f"wrong{n}", x_forwarded_for=f"10.9.0.{n}, 10.0.0.1").status_code == 403
    assert login(behind_proxy, PASSWORD, x_forwarded_for="10.0.0.1").status_code == 429
    answer = login(behind_proxy, PASSWORD, x_forwarded_for="10.0.0.2", x_forwarded_proto="https")
    assert answer.status_code == 303
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_copy_of_a_cookie_opens_nothing_after_sign_out(lab: LabContext, behind_proxy: str) -> None:
    def signed_in() -> dict[str, str]:
        return dict(login(behind_proxy, PASSWORD, x_forwarded_for="10.0.0.3").cookies)

    def opens(cookies: dict[str, str]) -> int:
        session = {SESSION_COOKIE: cookies[SESSION_COOKIE]}
        return httpx.get(f"{behind_proxy}/config", cookies=session, timeout=WAIT).status_code

    first, second, third = (signed_in() for _ in range(3))
    assert [opens(item) for item in (first, second)] == [200, 200]
    assert httpx.post(f"{behind_proxy}/sign-out", cookies=first, timeout=WAIT).status_code == 303
    assert [opens(item) for item in (first, second)] == [403, 200]
    assert httpx.post(f"{behind_proxy}/sign-out/everywhere", cookies=first, timeout=WAIT).status_code == 403
    assert "Sign out everywhere" in httpx.get(f"{behind_proxy}/sign-in", cookies=second, timeout=WAIT).text
    assert httpx.post(f"{behind_proxy}/sign-out/everywhere", cookies=second, timeout=WAIT).status_code == 303
    lab.drop_service(sessions._State)  # another process
    assert [opens(item) for item in (first, second, third)] == [403, 403, 403]
    assert opens(signed_in()) == 200


def test_a_stranger_is_refused_before_a_body_is_read(behind_proxy: str) -> None:
    for path in ("/rank/1/next", "/rank/1/answer", "/demo/1/answer", "/demo/1/vote"):
        head = f"POST {path} HTTP/1.1\r\nHost: {behind_proxy[7:]}\r\nContent-Length: "
        assert send_request(behind_proxy, head + "150000\r\n\r\n").startswith(b"HTTP/1.1 403")
        assert send_request(behind_proxy, head + "15000000\r\n\r\n").startswith(b"HTTP/1.1 413")


def send_request(address: str, sent: str) -> bytes:
    with opened(address, sent) as line:
        return line.recv(1000)


def test_throttles_do_not_follow_the_clock_on_the_wall(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    monkeypatch.setattr("time.time", lambda: 0.0)
    few, all_of_them = RateLimit(2, 60.0), Backoff(3, 60.0)
    assert [few.acquire("a") for _ in range(3)] == [0.0, 0.0, 60.0]
    assert few.acquire("b") == 0.0
    for _ in range(3):
        all_of_them.count()
    assert all_of_them.seconds_left() == 0.0
    pauses = []
    for _ in range(10):
        all_of_them.count()
        pauses.append(all_of_them.seconds_left())
        now += pauses[-1]
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0]
    now += 601.0
    all_of_them.count()
    assert all_of_them.seconds_left() == 0.0
    assert few.acquire("a") == 0.0


def test_a_cookie_of_another_clock_opens_nothing(lab: LabContext, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 2_000_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    cookie = sessions.issue(lab, sessions.OWNER_ID)
    valid = []
    for jump in (0, -3600, 29 * 86_400, -30 * 86_400, 31 * 86_400):
        now = 2_000_000_000.0 + jump
        valid.append(sessions.user_of(lab, cookie) is not None)
    assert valid == [True, True, True, False, False]


def test_a_repeated_traceback_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    once, now = RepeatFilter(), 1.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def record(problem: Exception) -> logging.LogRecord:
        try:
            raise problem
        except Exception:
            return logging.LogRecord("asyncio", logging.ERROR, "", 0, "accept %s", ("failed",), sys.exc_info())

    assert [once.filter(record(OSError(24, "Too many open files"))) for _ in range(5)] == [True, *[False] * 4]
    assert once.filter(record(OSError(28, "No space left on device")))
    now += 60.0
    late = record(OSError(24, "Too many open files"))
    assert once.filter(late)
    assert late.getMessage() == "accept failed (and 4 more times since the last one was logged)"


def test_a_proxy_is_an_address_or_a_network(tmp_path: Path) -> None:
    from genai_lab.errors import LabError

    config = Config.from_environment({"GENAI_LAB_TRUSTED_PROXIES": "127.0.0.1, 10.1.2.3/8"}, home=tmp_path)
    assert config.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8")
    for wrong in ("*", "nginx", "0.0.0.0/0", ""):
        with pytest.raises(LabError, match="trusted proxy"):
            Config(home=tmp_path, trusted_proxies=(wrong,))

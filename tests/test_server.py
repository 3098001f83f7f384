"""The real server: whose address is believed, how often a password is tried, how long a connection may wait."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.server import ServerState

from genai_lab.config import Config
from genai_lab.context import LabContext
from genai_lab.services import sessions
from genai_lab.web import server
from genai_lab.web.connections import BoundedProtocol, Bounds, network_of
from genai_lab.web.identity import BROWSER_COOKIE, SESSION_COOKIE
from genai_lab.web.rate_limits import Backoff, RateLimit
from genai_lab.web.server import RepeatFilter, connection_bounds
from tests.serving import serving
from tests.tiny import open_lab

PASSWORD = "the owner of this lab"
WAIT = 120.0


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


def opened(address: str, sent: str) -> socket.socket:
    host, _, port = address[7:].partition(":")
    line = socket.create_connection((host, int(port)), timeout=WAIT)
    line.sendall(sent.encode())
    return line


def send_request(address: str, sent: str) -> bytes:
    with opened(address, sent) as line:
        return line.recv(1000)


def read_rest(line: socket.socket) -> bytes:
    """What comes until the server closes."""
    got = b""
    try:
        while piece := line.recv(65_536):
            got += piece
    except ConnectionResetError:
        pass
    return got


async def ok(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def early(request: Request) -> Response:
    return PlainTextResponse("enough")


async def stream(request: Request) -> Response:
    async def slow() -> Any:
        for _ in range(8):
            await asyncio.sleep(float(request.query_params.get("pause", "0.1")))
            yield b"x"

    return StreamingResponse(slow())


WEB = Starlette(
    routes=[
        Route("/ok", ok, methods=["GET", "POST"]),
        Route("/early", early, methods=["POST"]),
        Route("/stream", stream),
    ]
)
GET, POST = "GET /ok HTTP/1.1\r\nHost: x\r\n", "POST /ok HTTP/1.1\r\nHost: x\r\n"
HALVES = {
    "": b"",
    "\r\n": b"HTTP/1.1 408",
    f"{GET}X: ": b"HTTP/1.1 408",
    f"{POST}Content-Length: 100\r\n\r\nonly this": b"",
    f"{POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n": b"",
    f"{GET}X: {'y' * 400_000}": b"HTTP/1.1 431",
}


def test_what_is_only_half_sent_is_closed(tmp_path: Path) -> None:
    limits = Bounds(total=40, per_address=20, header_seconds=3.0, body_seconds=3.0)
    with serving(WEB, Config(home=tmp_path), limits) as address, ExitStack() as stack:
        lines = [(stack.enter_context(opened(address, sent)), answer) for sent, answer in HALVES.items()]
        for line, answer in lines:
            got = read_rest(line)
            assert got.startswith(answer)
            assert bool(got) == bool(answer)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose time goes on only as it is put forward."""

    ahead = 0.0

    def time(self) -> float:
        return self.ahead

    async def jump(self, seconds: float) -> None:
        """In steps, since a server that looks late is lenient."""
        await self.settle()
        for _ in range(round(2 * seconds)):
            self.ahead += 0.5
            await self.settle(4)

    async def settle(self, turns: int = 20) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)


class Line(asyncio.Transport):
    """A connection without a network."""

    def __init__(self, loop: JumpingLoop, bounds: Bounds, host: str = "10.0.0.1") -> None:
        super().__init__({"peername": (host, 1), "sockname": ("10.0.0.2", 80)})
        self.got, self.closed, self.loop = b"", False, loop
        settings = server.uvicorn_config(WEB, Config(), bounds)
        settings.load()
        self.protocol = BoundedProtocol(bounds, config=settings, server_state=ServerState(), app_state={}, _loop=loop)
        self.protocol.connection_made(self)

    async def send(self, text: str) -> None:
        self.protocol.data_received(text.encode())
        await self.loop.settle()

    def write(self, data: Any) -> None:
        self.got += data

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def played(script: Callable[[JumpingLoop, Bounds], Any]) -> None:
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, JumpingLoop)
        runner.run(script(loop, Bounds(total=6, per_address=3)))


def test_streams_and_kept_connections_outlive_the_deadlines() -> None:
    async def script(loop: JumpingLoop, bounds: Bounds) -> None:
        line = Line(loop, bounds)
        await line.send("GET /stream?pause=99.8 HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(8):
            assert not line.got.endswith(b"0\r\n\r\n")
            await loop.jump(100.0)
        assert line.got.endswith(b"1\r\nx\r\n0\r\n\r\n")
        for _ in range(3):
            await loop.jump(19.0)
            await line.send(f"{GET}\r\n")
        assert (line.got.count(b"HTTP/1.1 200"), line.closed) == (4, False)
        await line.send(GET)
        await loop.jump(9.0)
        assert not line.closed
        await loop.jump(1.5)
        assert line.got.endswith(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        assert (line.closed, bounds.count, bounds.counts, bounds.waiting) == (True, 0, {}, {})

    played(script)


def test_a_body_may_be_slow_and_may_not_stall() -> None:
    async def script(loop: JumpingLoop, bounds: Bounds) -> None:
        slow, still = Line(loop, bounds), Line(loop, bounds)
        for line in (slow, still):
            await line.send(f"{POST}Content-Length: 12000\r\n\r\n")
        for _ in range(10):
            assert not slow.closed
            await slow.send("x" * 1200)
            await loop.jump(19.0)
        assert slow.got.endswith(b"\r\n12000")
        assert (still.closed, still.got) == (True, b"")
        unread = Line(loop, bounds)
        await unread.send(f"{POST.replace('ok', 'early')}Transfer-Encoding: chunked\r\n\r\n")
        assert unread.got.endswith(b"enough\r\n0\r\n\r\n") or unread.got.endswith(b"enough")
        for _ in range(4):
            await unread.send("3\r\nxyz\r\n")
            await loop.jump(9.0)
        assert unread.closed  # the rest of a body whose answer is there already

    played(script)


def test_whoever_has_waited_longest_makes_room() -> None:
    async def script(loop: JumpingLoop, bounds: Bounds) -> None:
        busy = [Line(loop, bounds) for _ in range(3)]
        await busy[0].send("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await busy[1].send(f"{GET}X: ")
        late = Line(loop, bounds)
        assert [line.closed for line in (*busy, late)] == [False, True, False, False]
        others = [Line(loop, bounds, f"10.0.1.{n}") for n in range(3)]
        assert not any(line.closed for line in (busy[0], busy[2], late, *others))
        Line(loop, bounds, "10.0.2.1")
        assert busy[2].closed  # of the address with most that wait
        await loop.settle()
        assert bounds.count == 6

    played(script)


def test_a_listed_proxy_may_have_more_connections() -> None:
    async def script(loop: JumpingLoop, _: Bounds) -> None:
        bounds = Bounds(total=20, per_address=2, proxies=("10.0.0.0/8",))
        lines = [Line(loop, bounds) for _ in range(8)]
        assert not any(line.closed for line in lines)

    played(script)


def test_half_sent_requests_make_room_for_whole_ones(tmp_path: Path) -> None:
    limits = Bounds(total=40, per_address=20, header_seconds=600.0)
    with serving(WEB, Config(home=tmp_path), limits) as bounded, ExitStack() as stack:
        going = stack.enter_context(opened(bounded, "GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
        assert going.recv(15) == b"HTTP/1.1 200 OK"
        lines = [stack.enter_context(opened(bounded, "GET /ok HTTP/1.1\r\n")) for _ in range(60)]
        assert httpx.get(f"{bounded}/ok", timeout=WAIT).text == "0"
        assert read_rest(going).endswith(b"0\r\n\r\n")
        assert read_rest(lines[0]) == b""


def test_an_address_is_a_host_or_the_network_of_one() -> None:
    assert network_of("10.0.0.1") == "10.0.0.1" == network_of("::ffff:10.0.0.1")
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff") != network_of("2001:db8:1::1")
    assert network_of("fe80::1%eth0") == "fe80::/64"
    assert network_of("") == ""


def test_connections_leave_files_for_the_rest() -> None:
    assert (connection_bounds(1024).total, connection_bounds(1024).per_address) == (768, 384)
    assert (connection_bounds(2**20).total, connection_bounds(2**20).per_address) == (8192, 512)


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

"""How many connections there may be, how long they may wait, and which make room."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.server import ServerState

from genai_lab.config import Config
from genai_lab.web import server
from genai_lab.web.connections import BoundedProtocol, Bounds, network_of
from genai_lab.web.server import connection_bounds
from tests.serving import WAIT, opened, serving


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

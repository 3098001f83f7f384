"""Bounds on connections: how many there may be, and how long each may keep the server waiting.

A connection waits while its request is incomplete: headers or a body that have not ended, or no new request since the
last answer. When there are too many connections, the one that has waited longest is closed for a new one. A connection
whose answer is being prepared or streamed never counts as waiting.
"""

import asyncio
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from starlette.requests import Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
MAX_HEADER_BYTES = 65_536  # bytes
BODY_SECONDS, MIN_BODY_BYTES = 20.0, 1024  # a body has to bring so many bytes in each such span
REMAINDER_SECONDS = 30.0  # for the end of a body whose answer is complete already
BUSY_SECONDS = 1.0
READ_SECONDS = 60.0  # for a browser that does not read its answer


def network_of(host: str) -> str:
    """An IPv4 address, or the /64 network that one IPv6 host usually has; limits count these as one address."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host[:100]
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))


def client_network(request: Request) -> str:
    """The network of whoever sent this request, "" where it is unknown."""
    return network_of(request.client.host if request.client else "")


@dataclass
class Bounds:
    """At most `total` connections, and `per_address` from one address unless it is a proxy's.

    `waiting` maps an address to its waiting connections, the longest waiting first.
    """

    total: int
    per_address: int
    proxies: tuple[str, ...] = ()
    header_seconds: float = HEADER_SECONDS
    body_seconds: float = BODY_SECONDS
    count: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, dict["BoundedProtocol", None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._proxies = [ip_network(proxy, strict=False) for proxy in self.proxies]

    def admit(self, connection: "BoundedProtocol") -> bool:
        """Counts a new connection; False where there are too many and none of them waits."""
        address = connection.address
        if self.counts.get(address, 0) >= self.per_address and not self._is_proxy(connection):
            if not self._drop_oldest(address):
                return False
        elif self.count >= self.total:
            crowded = max(self.waiting, key=lambda other: len(self.waiting[other]), default="")
            if not self._drop_oldest(crowded):
                return False
        self.count += 1
        self.counts[address] = self.counts.get(address, 0) + 1
        return True

    def release(self, connection: "BoundedProtocol") -> None:
        self.set_waiting(connection, False)
        self.count -= 1
        self.counts[connection.address] -= 1
        if not self.counts[connection.address]:
            del self.counts[connection.address]

    def set_waiting(self, connection: "BoundedProtocol", waits: bool) -> None:
        if waits:
            self.waiting.setdefault(connection.address, {}).setdefault(connection)
        elif connection in (others := self.waiting.get(connection.address, {})):
            del others[connection]
            if not others:
                del self.waiting[connection.address]

    def _drop_oldest(self, address: str) -> bool:
        oldest = next(iter(self.waiting.get(address, ())), None)
        if oldest is not None:
            oldest.drop()
        return oldest is not None

    def _is_proxy(self, connection: "BoundedProtocol") -> bool:
        try:
            address = ip_address(connection.client[0] if connection.client else "")
        except ValueError:
            return False
        return any(address in proxy for proxy in self._proxies)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol with deadlines; `bounds` are shared by all connections of a server."""

    def __init__(self, bounds: Bounds, **options: Any) -> None:
        super().__init__(**options)
        self.address = ""
        self._bounds = bounds
        self._admitted = False
        self._in_headers = True  # the next byte belongs to a request line or to headers
        self._header_bytes = self._body_bytes = 0
        self._phase = ""
        self._deadline: asyncio.TimerHandle | None = None
        self._read_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = network_of(self.client[0]) if self.client else ""
        self._admitted = self._bounds.admit(self)
        if self._admitted:
            self._watch()
        else:
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_phase("")
        if self._read_deadline is not None:
            self._read_deadline.cancel()
        if self._admitted:
            self._admitted = False
            self._bounds.release(self)
        super().connection_lost(exc)

    def drop(self) -> None:
        """Closes at once, even with unsent data; another connection may come before the loop gets to the socket."""
        if self._admitted:
            self._admitted = False
            self._bounds.release(self)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._in_headers:
            self._header_bytes += len(data)
        else:
            self._body_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        self._watch()

    def on_headers_complete(self) -> None:
        self._in_headers, self._header_bytes, self._body_bytes = False, 0, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_headers = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._read_deadline is None:
            self._read_deadline = self.loop.call_later(READ_SECONDS, self.drop)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._read_deadline is not None:
            self._read_deadline.cancel()
            self._read_deadline = None

    @property
    def _answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _watch(self) -> None:
        """Sets the deadline of the phase that the connection is in now."""
        if not self._admitted or self.transport.is_closing():
            return
        if not self._in_headers:
            self._set_phase("remainder" if self._answered else "body")
        elif not self._answered:
            self._set_phase("")
        elif self.timeout_keep_alive_task is not None:
            self._set_phase("idle")
        else:
            self._set_phase("headers")

    def _set_phase(self, phase: str) -> None:
        if phase == self._phase:
            return
        self._phase = phase
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._admitted:
            self._bounds.set_waiting(self, False)  # the wait starts over
            self._bounds.set_waiting(self, phase != "")
        if phase == "headers":
            self._deadline = self.loop.call_later(self._bounds.header_seconds, self._end_headers)
        elif phase == "remainder":
            self._deadline = self.loop.call_later(REMAINDER_SECONDS, self.drop)
        elif phase == "body":
            self._body_bytes = 0
            self._deadline = self.loop.call_later(self._bounds.body_seconds, self._check_body)

    def _is_late(self, deadline: asyncio.TimerHandle | None) -> bool:
        """Whether the server itself was too busy to check in time; then the client may have sent enough."""
        return deadline is not None and self.loop.time() - deadline.when() > BUSY_SECONDS

    def _end_headers(self) -> None:
        if self._is_late(self._deadline):
            self._deadline = self.loop.call_later(self._bounds.header_seconds, self._end_headers)
        elif self._header_bytes:
            self._refuse(b"408 Request Timeout")
        else:
            self.drop()

    def _check_body(self) -> None:
        """Closes a connection whose body stalls, but not one whose body the application has not read yet."""
        unread = self.flow.read_paused or self.cycle.waiting_for_100_continue
        stalled = self._body_bytes < MIN_BODY_BYTES and not unread
        if stalled and not self._is_late(self._deadline):
            self.drop()
            return
        self._body_bytes = 0
        self._deadline = self.loop.call_later(self._bounds.body_seconds, self._check_body)

    def _refuse(self, status: bytes) -> None:
        self.transport.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.transport.close()

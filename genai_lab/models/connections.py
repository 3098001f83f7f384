"""HTTP clients for servers that a user names: which proxy, which addresses, and every error as one sentence."""

import ipaddress
import socket
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from genai_lab.errors import LabError, ModelError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client(address: str, timeout: float, **options: Any) -> httpx.Client:
    """A client for `address`; a server on this machine is asked directly, whatever proxy the environment names."""
    # A transport that is given keeps httpx from reading proxies; certificates are still those of the environment.
    direct = httpx.HTTPTransport() if is_loopback(address) else None
    return httpx.Client(timeout=timeout, transport=direct, **options)


def async_client(address: str, timeout: float, **options: Any) -> httpx.AsyncClient:
    """As `client`, for an event loop."""
    direct = httpx.AsyncHTTPTransport() if is_loopback(address) else None
    return httpx.AsyncClient(timeout=timeout, transport=direct, **options)


@contextmanager
def clear_errors(address: str, timeout: float, sentence: Callable[[Exception], str] | None = None) -> Iterator[None]:
    """Turns whatever building or using a client raises into a ModelError; a LabError passes as it is."""
    try:
        yield
    except LabError:
        raise
    except Exception as problem:
        message = sentence(problem) if sentence else transport_sentence(address, problem, timeout)
        raise ModelError(message) from None


def transport_sentence(address: str, problem: Exception, timeout: float) -> str:
    """What went wrong between this machine and the server, and what to do."""
    proxy = proxy_of(address)
    mend = "correct or unset the proxy variables of the environment, or add the host to NO_PROXY"
    if isinstance(problem, ImportError):
        return f"The proxy {proxy} needs a package that is not installed ({_words(problem)}); {mend}."
    if isinstance(problem, httpx.InvalidURL | httpx.UnsupportedProtocol | ValueError):
        if proxy and host_of(address):
            return f"The proxy {proxy} cannot be used ({_words(problem)}); {mend}."
        return f"The address {address[:200]!r} cannot be used ({_words(problem)}); correct it."
    if isinstance(problem, httpx.ProxyError):
        return f"The proxy {proxy} does not let {address} be asked ({_words(problem)}); {mend}."
    if isinstance(problem, httpx.ConnectTimeout | httpx.ConnectError):
        if proxy:
            return f"Nothing answers at the proxy {proxy}, through which {address} is asked; {mend}."
        return f"Nothing answers at {address}; start the server or correct the address."
    if isinstance(problem, httpx.TimeoutException):
        return f"{address} sent nothing for {timeout:g} s; it may be busy or still loading its model, try again later."
    route = f" through the proxy {proxy}" if proxy else ""
    return f"The connection to {address}{route} broke ({_words(problem)}); try again."


def _words(problem: Exception) -> str:
    detail = " ".join(str(problem).split())[:200].rstrip(".")
    return f"{type(problem).__name__}: {detail}" if detail else type(problem).__name__


def proxy_of(address: str) -> str:
    """The proxy that the environment names for this address, without its password; "" where it is asked directly."""
    if is_loopback(address):
        return ""
    try:
        parts = urlsplit(address)
        named = urllib.request.getproxies()
        proxy = named.get(parts.scheme) or named.get("all") or ""
        if not proxy or urllib.request.proxy_bypass(parts.netloc):  # type: ignore[attr-defined]
            return ""
        scheme, _, address_part = proxy.rpartition("://")
        return f"{scheme or 'http'}://{address_part.rpartition('@')[2]}"[:200]
    except ValueError:
        return ""


def host_of(address: str) -> str:
    """The host as it is asked for, without port; "" where there is none."""
    try:
        return httpx.URL(address.strip()).raw_host.decode().lower().strip("[]").rstrip(".")
    except (httpx.InvalidURL, ValueError):
        return ""


def is_loopback(address: str) -> bool:
    """Whether the address names this machine, in any spelling."""
    host = host_of(address)
    if host == "localhost" or host.endswith(".localhost"):
        return True
    literal = _literal(host)
    return literal is not None and (literal.is_loopback or literal.is_unspecified)


def refuse_link_local(address: str, allowed: bool) -> None:
    """Raises ModelError for an address, or a name of one, that cloud machines answer with their own secrets."""
    if allowed:
        return
    host = host_of(address)
    literal = _literal(host)
    if any(address_number.is_link_local for address_number in ([literal] if literal is not None else _resolved(host))):
        raise ModelError(
            f"{address[:200]} is a link-local address, where cloud machines keep their credentials; set "
            "GENAI_LAB_ALLOW_LINK_LOCAL=1 if a model is served there."
        )


def _literal(host: str) -> Address | None:
    """The number that a host stands for, also as 2130706433, 0x7f.1 or IPv4 within IPv6; None for a name."""
    try:
        number: Address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        try:
            number = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None
    mapped = getattr(number, "ipv4_mapped", None)
    return mapped if mapped is not None else number


def _resolved(host: str) -> list[Address]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [number for row in rows if (number := _literal(str(row[4][0]))) is not None]


def refuse_encoded(address: str, headers: httpx.Headers) -> None:
    """Raises ModelError for a compressed answer, which was not asked for and can be larger than any memory."""
    if (encoding := headers.get("content-encoding", "").strip().lower()) not in ("", "identity"):
        raise ModelError(
            f"{address} answered compressed ({encoding[:40]}), though plain text was asked for; turn compression off "
            "there or in the proxy before it."
        )

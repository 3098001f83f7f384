"""Proxies, addresses and client errors: a proxy is used where it should be, and named where it fails."""

import pytest

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Options, Source
from genai_lab.models.connections import host_of, is_loopback, proxy_of, refuse_link_local
from genai_lab.models.endpoint import EndpointGenerator
from genai_lab.models.hub import describe
from tests.models.servers import SmallEndpoint, serving

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
DEAD = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def inspect(address: str, link_local: bool = False) -> None:
    options = Options(timeout=20.0, allow_link_local=link_local)
    BACKENDS.get("endpoint").inspect(Source("endpoint", address, remote_name="tiny"), "remote", options)


@pytest.mark.parametrize("proxy", [DEAD, "socks5h://127.0.0.1:9", "nonsense://x", "http://[bad"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_asked_without_a_proxy(name: str, proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, proxy)
    with serving(SmallEndpoint().handler()) as address:
        inspect(address)
        inspect(address.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize(
    ("proxy", "message"),
    [
        (DEAD, "Nothing answers at the proxy http://127.0.0.1:9, through which http://model.test/v1 is asked"),
        ("http://user:word@127.0.0.1:9", "proxy http://127.0.0.1:9,"),
        ("socks5h://127.0.0.1:9", "The proxy socks5h://127.0.0.1:9 needs a package"),
        ("nonsense://x", "The proxy nonsense://x cannot be used"),
        ("http://[bad", "the proxy http://[bad"),
    ],
)
def test_failing_proxy_is_named(proxy: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ModelError) as caught:
        inspect("http://model.test")
    assert message in str(caught.value)
    assert "word@" not in str(caught.value)


def test_hub_and_loaded_endpoint_have_the_same_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(SmallEndpoint().handler()) as address:
        backend, source = BACKENDS.get("endpoint"), Source("endpoint", address, remote_name="tiny")
        card = backend.inspect(source, "remote", Options(timeout=20.0))
    monkeypatch.setenv("ALL_PROXY", "socks5h://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"The proxy socks5h://127.0.0.1:9 needs a package"):
        describe("owner/small", None, None, 2.0)
    moved = Source("endpoint", "http://model.test/v1", remote_name="tiny")
    with pytest.raises(ModelError, match=r"The proxy socks5h://127.0.0.1:9 needs a package"):
        EndpointGenerator(type(card)(**{**vars(card), "source": moved}), 2.0)


@pytest.mark.parametrize(
    "address", ["http://ho\r\nst/v1", "http://ho\tst", "http://\ud800.test", "http://xn--\u2028", "http://a b/v1"]
)
def test_address_that_no_client_takes_is_one_sentence(address: str) -> None:
    with pytest.raises(ModelError, match=r"cannot be (used|read)|Nothing answers|name a host") as caught:
        inspect(address)
    assert "\n" not in str(caught.value)


LOOPBACK = ("localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "2130706433", "0x7f.1", "0", "127.1", "[::]")


@pytest.mark.parametrize("host", [*LOOPBACK, "[::ffff:127.0.0.1]", "LOCALHOST."])
def test_loopback_is_known_in_every_spelling(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", DEAD)
    assert is_loopback(f"http://{host}:8000/v1")
    assert proxy_of(f"http://{host}:8000/v1") == ""


def test_other_hosts_are_no_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", DEAD)
    monkeypatch.setenv("NO_PROXY", "near.test")
    for host in ("model.test", "128.0.0.1", "notlocalhost", "localhost.test"):
        assert not is_loopback(f"https://{host}/v1")
        assert proxy_of(f"https://{host}/v1") == DEAD
        assert proxy_of(f"http://{host}/v1") == ""
    assert proxy_of("https://near.test/v1") == ""
    assert host_of("https://Model.TEST.:8/v1") == "model.test"


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "169.254.0.1", "2852039166", "[fe80::1]", "[::ffff:169.254.169.254]", "0xa9fea9fe"]
)
def test_link_local_address_is_refused_unless_allowed(host: str) -> None:
    with pytest.raises(ModelError, match=r"link-local address.*GENAI_LAB_ALLOW_LINK_LOCAL"):
        inspect(f"http://{host}")
    refuse_link_local(f"http://{host}", allowed=True)
    refuse_link_local("http://127.0.0.1", allowed=False)


def test_name_of_a_link_local_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (2, 1, 6, "", ("169.254.169.254", 0))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [row])
    with pytest.raises(ModelError, match="link-local"):
        inspect("http://metadata.test")

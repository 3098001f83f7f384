"""What the web application refuses: server files, foreign pages, foreign hosts, floods."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

import app as program
from genai_lab.config import Config
from genai_lab.errors import LabError
from tests.serving import serving


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A mounted app whose one function gives an upload back, and a secret file beside its home."""
    import gradio as gr

    import pages  # noqa: F401  (turns Gradio's analytics off)
    from pages.mount import mount

    folder = tmp_path_factory.mktemp("served")
    secret = folder / "secret.txt"
    secret.write_text("nobody may read this")
    config = Config(home=folder / "home")
    config.uploads.mkdir(parents=True)

    def build(lab: Any) -> gr.Blocks:
        with gr.Blocks() as demo:
            upload, out = gr.File(), gr.File()
            gr.Button().click(lambda file: file, upload, out, api_name="echo_file")
        return demo

    web = mount(SimpleNamespace(config=config), build)  # type: ignore[arg-type]
    with serving(web, config) as address, httpx.Client(base_url=address, timeout=120) as client:
        yield client, secret


def call(client: httpx.Client, name: str, value: Any) -> str:
    """The event stream's text for one API call."""
    request = client.post(f"/gradio_api/call/{name}", json={"data": [value]})
    if request.status_code != 200:
        return ""
    return client.get(f"/gradio_api/call/{name}/{request.json()['event_id']}").text


def test_the_pages_and_health_are_served(served: tuple[httpx.Client, Path]) -> None:
    client, _ = served
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/").status_code == 200
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"
    assert client.get("/lab-assets/fonts/inter-latin-wght-normal.woff2").status_code == 200


def test_what_carries_its_hash_in_its_name_is_kept_by_the_browser(served: tuple[httpx.Client, Path]) -> None:
    client, _ = served
    script = re.search(r"/(assets/[\w-]+\.js)", client.get("/").text)
    assert script
    assert "immutable" in client.get(script[0]).headers["cache-control"]
    assert "immutable" not in client.get("/").headers.get("cache-control", "")
    assert "cache-control" not in client.get("/assets/missing-abcdefgh.js").headers


@pytest.mark.parametrize("which", ["outside", "this very file", "passwd"])
def test_a_crafted_upload_reads_no_server_file(served: tuple[httpx.Client, Path], which: str) -> None:
    client, secret = served
    path = {"outside": str(secret), "this very file": __file__, "passwd": "/etc/passwd"}[which]
    crafted = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.txt"}
    for line in call(client, "echo_file", crafted).splitlines():
        if line.startswith("data: ["):
            [got] = json.loads(line[6:])
            assert client.get(f"/gradio_api/file={got['path']}").status_code != 200, f"{path} was given away"
    assert client.get(f"/gradio_api/file={path}").status_code in (403, 404)


@pytest.mark.parametrize(
    "name",
    ["../../out.txt", "/etc/out.txt", "..", "a/../../b.txt", "a\\..\\b.txt", "x" * 900 + ".txt", "<b>.csv", "=1+1"],
)
def test_a_hostile_name_of_an_upload_stays_in_the_folder_of_uploads(
    served: tuple[httpx.Client, Path], name: str
) -> None:
    client, secret = served
    answer = client.post("/gradio_api/upload", files={"files": (name, b"mine")})
    if name == "..":
        assert 400 <= answer.status_code < 500
        return
    [path] = answer.json()
    folder = Path(path)
    assert folder.resolve().is_relative_to(secret.parent / "home" / "uploads")
    assert (folder.is_symlink(), folder.read_bytes()) == (False, b"mine")


def test_a_link_in_the_folder_of_uploads_gives_no_file_away(served: tuple[httpx.Client, Path]) -> None:
    client, secret = served
    [path] = client.post("/gradio_api/upload", files={"files": ("a.txt", b"mine")}).json()
    for planted, target in ((Path(path).with_name("link.txt"), secret), (Path(path).with_name("out"), secret.parent)):
        planted.symlink_to(target)
    for planted in (Path(path).with_name("link.txt"), Path(path).with_name("out") / secret.name):
        assert client.get(f"/gradio_api/file={planted}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("path", "sent", "status", "message"),
    [
        ("v2/echo_file", {"data": [None]}, 422, "`data` is not a valid"),
        ("v2/echo_file", {"nothing": 1}, 422, "by name"),
        ("v2/echo_file", {}, 422, "file"),
        ("v2/nowhere", {}, 404, "no function 'nowhere'"),
    ],
)
def test_a_call_that_names_no_function_or_value_is_one_sentence(
    served: tuple[httpx.Client, Path], path: str, sent: dict[str, Any], status: int, message: str
) -> None:
    answer = served[0].post(f"/gradio_api/call/{path}", json=sent)
    assert answer.status_code == status
    assert message in answer.json()["error"]


def test_an_upload_of_ones_own_comes_back(served: tuple[httpx.Client, Path]) -> None:
    client, _ = served
    [path] = client.post("/gradio_api/upload", files={"files": ("a.txt", b"mine")}).json()
    answer = call(client, "echo_file", {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "a.txt"})
    assert "event: complete" in answer
    assert client.get(f"/gradio_api/file={path}").text == "mine"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/config"), ("POST", "/gradio_api/upload")])
def test_pages_of_other_sites_are_refused(
    served: tuple[httpx.Client, Path], headers: dict[str, str], method: str, path: str
) -> None:
    answer = served[0].request(method, path, headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


def test_a_link_from_another_site_opens_the_page(served: tuple[httpx.Client, Path]) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert served[0].get("/", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "127.0.0.1:7860.evil.example", ""])
def test_a_foreign_host_name_is_refused(served: tuple[httpx.Client, Path], host: str) -> None:
    assert served[0].get("/", headers={"host": host}).status_code in (400, 421)


def test_a_forwarded_host_is_not_believed(served: tuple[httpx.Client, Path]) -> None:
    assert "evil.example" not in served[0].get("/", headers={"x-forwarded-host": "evil.example"}).text


def test_every_answer_carries_the_security_headers(served: tuple[httpx.Client, Path]) -> None:
    client, _ = served
    for answer in (client.get("/"), client.get("/nowhere"), client.get("/", headers={"origin": "http://evil.example"})):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


def test_a_body_over_the_limit_is_refused(served: tuple[httpx.Client, Path]) -> None:
    client, _ = served
    big = b"x" * (17 * 2**20)
    assert client.post("/gradio_api/call/echo_file", content=big).status_code == 413
    pieces = (big[: 2**20] for _ in range(17))
    assert client.post("/gradio_api/call/echo_file", content=pieces).status_code == 413


@pytest.mark.parametrize("path", ["../__init__.py", "..%2f__init__.py", "%2e%2e/__init__.py", "/etc/passwd", "fonts"])
def test_the_static_route_gives_only_assets(served: tuple[httpx.Client, Path], path: str) -> None:
    url = served[0].base_url  # sent by hand, for a client would tidy the path
    with socket.create_connection((url.host, url.port), timeout=120) as line:
        line.sendall(f"GET /lab-assets/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        status = line.recv(100).split(b" ", 2)[1]
    assert status in (b"400", b"404", b"405")


def test_the_apis_schema_and_docs_are_not_offered(served: tuple[httpx.Client, Path]) -> None:
    for path in ("/openapi.json", "/docs", "/redoc", "/monitoring/summary"):
        assert served[0].get(path).status_code in (401, 403, 404)


def options(*arguments: str) -> Any:
    return program._parser().parse_args(arguments)


def test_an_open_door_needs_a_password_and_the_names_it_is_reached_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = f"--home={tmp_path}"
    with pytest.raises(LabError, match="GENAI_LAB_OWNER_PASSWORD"):
        program.read_config(options(home, "--host", "0.0.0.0", "--allow-host", "lab.example"))
    with pytest.raises(LabError, match=r"reaches this lab as 'lab\.example' would be its owner; set a password"):
        program.read_config(options(home, "--allow-host", "lab.example"))
    assert program.read_config(options(home, "--allow-host", "127.0.0.2")).owner_password == ""
    monkeypatch.setenv("GENAI_LAB_OWNER_PASSWORD", "long enough")
    assert "lab.example" in program.read_config(options(home, "--allow-host", "lab.example")).allowed_hosts
    with pytest.raises(LabError, match="--allow-host"):
        program.read_config(options(home, "--host", "0.0.0.0"))
    monkeypatch.setenv("GENAI_LAB_LEAD_PASSWORD", "its former name")
    assert program.read_config(options(home)).owner_password == "long enough"
    monkeypatch.delenv("GENAI_LAB_OWNER_PASSWORD")
    assert program.read_config(options(home)).owner_password == "its former name"
    config = program.read_config(options(home, "--host", "0.0.0.0", "--allow-host", "lab.example"))
    assert "lab.example" in config.allowed_hosts


def test_a_taken_port_is_one_sentence_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as occupied:
        occupied.bind(("127.0.0.1", 0))
        occupied.listen()
        port = occupied.getsockname()[1]
        assert program.main([f"--home={tmp_path}", f"--port={port}"]) == 2
    assert f"Port {port} on 127.0.0.1 cannot be used" in capsys.readouterr().err

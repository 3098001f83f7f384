"""What a run must remember so that it can be understood and repeated: code, packages, device, content."""

import hashlib
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from genai_lab.hashing import Digests
from genai_lab.version import __version__

PACKAGES = ("torch", "transformers", "tokenizers", "peft", "numpy", "gradio", "sqlalchemy")


@dataclass(frozen=True)
class Provenance:
    """`revision` is the git commit, or the package's version where the code lies outside a repository."""

    revision: str
    dirty: bool
    packages: dict[str, str]


@cache
def provenance() -> Provenance:
    """Of the running process: read once, since the code that runs is the code that was imported."""
    root = Path(__file__).resolve().parents[1]
    revision = _git(root, "rev-parse", "HEAD")
    if revision is None:
        return Provenance(__version__, False, package_versions())
    return Provenance(revision, bool(_git(root, "status", "--porcelain", "--untracked-files=no")), package_versions())


@cache
def package_versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def content_hash(files: Iterable[Path], root: Path, digests: Digests | None = None) -> str:
    """SHA-256 over the sorted relative names and contents of `files`, as 64 hexadecimal digits."""
    total, digests = hashlib.sha256(), digests or Digests(None)
    for path in sorted(files):
        total.update(str(path.relative_to(root)).encode() + b"\0")
        total.update(digests.digest(path))
    return total.hexdigest()


def _git(root: Path, *arguments: str) -> str | None:
    try:
        process = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()

"""Datasets of the Hub, row by row, through the `datasets` library; nothing but data is ever read from there."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from genai_lab.data import SPLITS
from genai_lab.data.readers import Item, plain_row
from genai_lab.errors import LabError

NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


@dataclass(frozen=True)
class HubDataset:
    """A dataset of the Hub. An empty `configuration` is its only or default one; an empty `split` means all of them,
    each row with its split in the column `split`.
    """

    repo: str
    configuration: str = ""
    split: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.repo) or ".." in self.repo:
            raise LabError(f"{self.repo[:100]!r} is not a Hub id; write owner/name, such as knkarthick/dialogsum.")


def configurations(dataset: HubDataset) -> list[str]:
    """The names of its configurations; raises LabError."""
    with _told(dataset):
        return list(_library().get_dataset_config_names(dataset.repo, revision=dataset.revision or None))


def splits(dataset: HubDataset) -> list[str]:
    with _told(dataset):
        library = _library()
        return list(
            library.get_dataset_split_names(
                dataset.repo, dataset.configuration or None, revision=dataset.revision or None
            )
        )


def rows(dataset: HubDataset) -> Iterator[Item]:
    """All rows in their order, streamed; raises LabError."""
    with _told(dataset):
        library, number = _library(), 0
        names = [dataset.split] if dataset.split else splits(dataset)
        for name in names:
            stream = library.load_dataset(
                dataset.repo,
                dataset.configuration or None,
                split=name,
                revision=dataset.revision or None,
                streaming=True,
            )
            for row in stream:
                number += 1
                fields = dict(row) if dataset.split or "split" in row else {**row, "split": name}
                yield plain_row(fields, number)


def split_column(dataset: HubDataset, names: list[str]) -> str:
    """The column that tells the splits of a dataset read whole, where its splits are ones that the lab knows."""
    split_names = {*SPLITS, "val", "valid", "dev", "eval"}
    return "split" if not dataset.split and names and set(names) <= split_names else ""


def _library() -> Any:
    import datasets

    datasets.disable_progress_bars()
    return datasets


@contextmanager
def _told(dataset: HubDataset) -> Iterator[None]:
    """Whatever the library raises, as one sentence."""
    try:
        yield
    except LabError:
        raise
    except GeneratorExit:
        raise
    except Exception as problem:
        raise LabError(_sentence(dataset, problem)) from problem


def _sentence(dataset: HubDataset, problem: Exception) -> str:
    kind, text = type(problem).__name__, " ".join(str(problem).split())
    where = dataset.repo + (f" ({dataset.configuration})" if dataset.configuration else "")
    if "gated" in text.lower() or kind == "GatedRepoError":
        return f"{where} is gated; ask for access on the Hub and set HF_TOKEN."
    if kind in ("DatasetNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError", "HfHubHTTPError"):
        return f"{where} was not found on the Hub; look at its spelling, or set HF_TOKEN if it is private."
    if "scripts are no longer supported" in text.lower() or "trust_remote_code" in text:
        return f"{where} needs its own code to be read, which is never run; choose a copy in Parquet."
    if "config name is missing" in text.lower() or "BuilderConfig" in text:
        return f"{where}: {text[:300].rstrip('.')}."
    if "unknown split" in text.lower() or "bad split" in text.lower():
        return f"{where}: {text[:300].rstrip('.')}."
    if isinstance(problem, ConnectionError | TimeoutError | OSError) or "connect" in kind.lower():
        return f"The Hub cannot be reached for {where}; look at the network and try again."
    return f"{where} cannot be read ({kind}: {text[:300].rstrip('.')})."

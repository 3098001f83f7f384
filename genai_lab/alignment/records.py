"""Rollouts as they are kept: one file a step, with all that a reader of them may ask for."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genai_lab.files import atomic_write

ROLLOUTS, EVALUATIONS = "rollouts", "evaluations"  # folders of what was learned from, and of held-out prompts
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class RolloutBatch:
    """The completions of one step, B of them.

    `prompt_ids` and `ids` are lists of token ids a completion; `figures` are arrays (N,) by name over all tokens, one
    completion behind the other: log-probabilities under the policy and the reference in nats, the exact KL in nats,
    advantages, and where there is a value head values and returns. `parts` (B, k) are the rewards in the order of
    `labels`, before their weights; `scores` (B,) what was learned from; `rows` (B,) the number of each prompt's row.
    """

    step: int
    seed: int
    prompts: tuple[str, ...]
    texts: tuple[str, ...]
    prompt_ids: tuple[list[int], ...]
    ids: tuple[list[int], ...]
    ended: NDArray[np.bool_]
    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    parts: NDArray[np.float64]
    labels: tuple[str, ...]
    figures: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def lengths(self) -> NDArray[np.int64]:
        return np.array([len(ids) for ids in self.ids], dtype=np.int64)

    def tokens_of(self, name: str, index: int) -> Floats:
        """One figure of the tokens of one completion."""
        ends = np.cumsum(self.lengths)
        values: Floats = self.figures[name][ends[index] - len(self.ids[index]) : ends[index]]
        return values

    @property
    def kl(self) -> NDArray[np.float64]:
        """(B,) the exact KL of each completion, summed over its tokens, in nats."""
        ends = np.cumsum(self.lengths)
        sums: NDArray[np.float64] = np.add.reduceat(
            np.append(self.figures["kl"], 0).astype(np.float64), np.append(0, ends[:-1])
        )
        return sums * (self.lengths > 0)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = json.dumps({"prompts": self.prompts, "texts": self.texts, "labels": self.labels}).encode()
        arrays: dict[str, Any] = {
            "step": self.step,
            "seed": self.seed,
            "texts": np.frombuffer(texts, dtype=np.uint8),
            "ended": self.ended,
            "rows": self.rows,
            "scores": self.scores,
            "parts": self.parts,
            **_lists("prompt_ids", self.prompt_ids),
            **_lists("ids", self.ids),
            **{f"figure {name}": values.astype(np.float32) for name, values in self.figures.items()},
        }
        with atomic_write(path) as draft, draft.open("wb") as stream:
            np.savez_compressed(stream, **arrays)

    @classmethod
    def read(cls, path: Path) -> "RolloutBatch":
        with np.load(path, allow_pickle=False) as arrays:
            texts = json.loads(arrays["texts"].tobytes())
            figures = {name[7:]: arrays[name] for name in arrays.files if name.startswith("figure ")}
            return cls(
                step=int(arrays["step"]),
                seed=int(arrays["seed"]),
                prompts=tuple(texts["prompts"]),
                texts=tuple(texts["texts"]),
                prompt_ids=_split(arrays, "prompt_ids"),
                ids=_split(arrays, "ids"),
                ended=arrays["ended"],
                rows=arrays["rows"],
                scores=arrays["scores"],
                parts=arrays["parts"],
                labels=tuple(texts["labels"]),
                figures=figures,
            )


def rollout_path(folder: Path, step: int) -> Path:
    return folder / f"{step:07d}.npz"


def rollout_steps(folder: Path) -> list[int]:
    """The steps whose rollouts lie in the folder, in order."""
    return sorted(int(path.stem) for path in folder.glob("*.npz") if path.stem.isdigit())


def read_all(folder: Path) -> Iterator[RolloutBatch]:
    for step in rollout_steps(folder):
        yield RolloutBatch.read(rollout_path(folder, step))


def _lists(name: str, lists: Sequence[Sequence[int]]) -> dict[str, Any]:
    flat = [np.asarray(ids, dtype=np.int32) for ids in lists]
    return {
        name: np.concatenate([*flat, np.empty(0, np.int32)]),
        f"{name} ends": np.cumsum([len(part) for part in flat], dtype=np.int64),
    }


def _split(arrays: Any, name: str) -> tuple[list[int], ...]:
    ends = arrays[f"{name} ends"]
    return tuple(part.tolist() for part in np.split(arrays[name], ends)[: len(ends)])

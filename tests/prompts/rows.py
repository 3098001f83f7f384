"""Rows to try templates on."""

from dataclasses import dataclass, field

from genai_lab.data import Example


def row(
    key: int, fields: dict[str, str], references: tuple[str, ...] = (), label: str | None = None, split: str = "test"
) -> Example:
    return Example(key=key, fields=fields, references=references, label=label, split=split)


@dataclass
class Reviews:
    """`count` reviews of a split, each with a word of its own, every other one good."""

    count: int = 12
    split: str = "train"
    start: int = 0
    rows: list[Example] = field(init=False)

    def __post_init__(self) -> None:
        names = ("good", "bad")
        self.rows = [
            row(
                self.start + i,
                {"text": f"Review of thing{self.start + i}", "label": names[i % 2]},
                (names[i % 2],),
                names[i % 2],
                self.split,
            )
            for i in range(self.count)
        ]

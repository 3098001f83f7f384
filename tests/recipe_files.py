"""Small files in the forms in which the data of recipes are published, made up for tests."""

import csv
import io
import json
from pathlib import Path
from typing import Any

GREETINGS = ("See you at", "Ok, call me at", 'He said "wait until', "Dinner at", "I'm late, sorry: not before")
OFFERS = ("WIN a prize before", '"FREE entry until', "Claim your cash by")
REVIEWS = {"positive": "a warm , funny film , number", "negative": "a dull and empty film , number"}
QUESTIONS = {"DESC": "What is", "ENTY": "What animal is", "HUM": "Who was", "LOC": "Where is", "NUM": "How many are",
             "ABBR": "What does it stand for :"}  # fmt: skip


def sms(path: Path, rows: int = 90) -> Path:
    """As the UCI repository has it: tab-separated, without a header, quotation marks as in the messages."""
    lines = []
    for number in range(rows):
        texts, label = (OFFERS, "spam") if number % 3 == 2 else (GREETINGS, "ham")
        lines.append(f"{label}\t{texts[number % len(texts)]} {number}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sst2(path: Path, rows: int = 80) -> Path:
    """As in GLUE: tab-separated with a header, classes as numbers."""
    names = ("negative", "positive")
    lines = [f"{REVIEWS[names[number % 2]]} {number}\t{number % 2}" for number in range(rows)]
    path.write_text("\n".join(["sentence\tlabel", *lines]) + "\n", encoding="utf-8")
    return path


def trec(path: Path, rows: int = 90) -> Path:
    """As JSON Lines with the short names of the classes."""
    items = list(QUESTIONS.items())
    chosen = [(items[number % len(items)], number) for number in range(rows)]
    return _lines(path, [{"text": f"{text} {number} ?", "label": name} for (name, text), number in chosen])


def trec_label(path: Path, rows: int = 90) -> Path:
    """As its authors have it: lines with the class, its finer one and the question, in Latin-1."""
    items = list(QUESTIONS.items())
    lines = [f"{items[n % 6][0]}:other {items[n % 6][1]} {n} in M\xe9xico ?" for n in range(rows)]
    path.write_text("\n".join(lines) + "\n", encoding="latin-1")
    return path


def sst2_lines(path: Path, rows: int = 80) -> Path:
    """As published for convolutional networks: lines with the class as a number and the sentence."""
    names = ("negative", "positive")
    path.write_text("".join(f"{n % 2} {REVIEWS[names[n % 2]]} {n}\n" for n in range(rows)), encoding="utf-8")
    return path


def dialogsum(path: Path, rows: int = 40) -> Path:
    """As JSON Lines, or as CSV where the name ends so."""
    fields = [
        {
            "id": f"dev_{number}",
            "dialogue": f"#Person1#: Can we meet at {number}?\n#Person2#: Yes, gladly.",
            "summary": f"They will meet at {number}.",
            "topic": "appointment",
        }
        for number in range(rows)
    ]
    if path.suffix != ".csv":
        return _lines(path, fields)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(fields[0]))
    writer.writeheader()
    writer.writerows(fields)
    path.write_text(out.getvalue(), encoding="utf-8")
    return path


def multi30k(path: Path, rows: int = 40) -> Path:
    return _lines(path, [{"en": f"A dog runs {number}.", "de": f"Ein Hund rennt {number}."} for number in range(rows)])


def _lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path

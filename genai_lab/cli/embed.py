"""`embed`: texts as vectors, and how near they are to the first one."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from genai_lab.cli.base import COMMANDS, Parser, Parsers, print_json, text_of, with_lab
from genai_lab.errors import LabError

if TYPE_CHECKING:
    from genai_lab.api import Lab


@COMMANDS.register("embed")
def add(groups: "Parsers[Parser]", shared: Parser) -> None:
    parser = groups.add_parser("embed", parents=[shared], help="texts as vectors, and their cosines with the first one")
    parser.add_argument("--model", default="", help="an encoder (default: the first embedder of the catalogue)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", action="append", help="a text; may be repeated")
    source.add_argument("--data", type=Path, metavar="FILE", help="one text per line; - reads standard input")
    parser.add_argument("--out", type=Path, metavar="FILE.npy", help="write the vectors, one row per text, in float32")
    parser.set_defaults(command=_embed)


@with_lab
def _embed(lab: "Lab", options: argparse.Namespace) -> None:
    import numpy as np

    from genai_lab.models.embedder import cosines

    texts = options.text or _lines(options.data)
    embedded = lab.embed(texts, model=options.model)
    vectors = embedded.vectors
    if options.out is not None:
        if options.out.suffix != ".npy":
            raise LabError(f"{options.out} must end in .npy, numpy's form of arrays.")
        np.save(options.out, vectors)
    near = cosines(np.repeat(vectors[:1], len(vectors), axis=0), vectors)
    if options.json:
        fields = {"model": embedded.model, "signature": embedded.signature, "dimensions": vectors.shape[1]}
        return print_json(fields | {"vectors": vectors.tolist(), "cosines": near.tolist()})
    print(f"{len(vectors):,} vectors of {vectors.shape[1]} numbers ({embedded.signature}); cosine with the first text:")
    for value, text in zip(near, texts, strict=True):
        print(f"  {value:.4f}  {' '.join(text.split())[:100]}")
    return None


def _lines(path: Path) -> list[str]:
    text = sys.stdin.read() if str(path) == "-" else text_of(path, "texts")
    lines = [line for line in text.split("\n") if line.strip()]
    if not lines:
        raise LabError(f"{path} has no lines to embed; write a text a line.")
    return lines

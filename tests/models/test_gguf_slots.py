"""The slots of GGUF texts: which shape suits what waits, and what happens where llama.cpp does not start."""

import threading
from typing import Any

import pytest

from genai_lab.decoding import Sampling
from genai_lab.decoding.sequences import DecodingSequence, TokenStream
from genai_lab.errors import ModelError
from genai_lab.models.gguf_slots import Slots, shapes, suitable_shape, usual_shape
from genai_lab.models.llama_server import Shape


class Server:
    """Completes nothing until it is let, and can refuse to start."""

    def __init__(self, shape: Shape) -> None:
        self.shape, self.asked = shape, threading.Event()
        self.go_on = threading.Event()

    def complete(self, ids: Any, settings: Any, take: Any) -> None:
        self.asked.set()
        self.go_on.wait(30)
        take({"done": True})

    def close(self) -> None:
        self.go_on.set()


def row_of(size: int) -> DecodingSequence:
    return DecodingSequence(
        prompt=[1] * (size - 8), decoder_prefix=[], stream=TokenStream(1, ""), index=0, sampling=Sampling(seed=0),
        context=[], before=[], decode=lambda ids: "", ends=frozenset(), room=8,
    )  # fmt: skip


def test_slots_change_their_shape_for_what_waits_and_try_again_after_a_failure() -> None:
    made: list[Server] = []
    refusals = [ModelError("no memory")]

    def restart(shape: Shape) -> Server:
        if shape.slots == 1 and refusals:
            raise refusals.pop()
        made.append(Server(shape))
        made[-1].go_on.set()
        return made[-1]

    first = Server(usual_shape(8192))
    slots = Slots(first, 8192, restart, lambda row: {}, lambda row, event: row.close("length"))
    try:
        short = [row_of(100) for _ in range(10)]
        slots.submit(short[:1])
        assert first.asked.wait(30)
        slots.submit([*short[1:], row_of(600)])
        first.go_on.set()
        for row in short:
            list(row.stream)
        assert slots.largest > 1
        long = row_of(8000)
        slots.submit([long])
        with pytest.raises(ModelError, match="no memory"):
            list(long.stream)
        again = row_of(8000)
        slots.submit([again])
        list(again.stream)
        assert made[-1].shape == Shape(1, 8192)
        slots.submit(many := [row_of(100) for _ in range(16)])
        for row in many:
            list(row.stream)
        assert made[-1].shape == Shape(16, 512)
    finally:
        slots.close()
    with pytest.raises(ModelError, match="unloaded"):
        slots.submit([row_of(100)])


def test_shapes_go_from_many_small_slots_to_few_large_ones() -> None:
    assert [shape.slots for shape in shapes(8192)] == [16, 8, 4, 2, 1]
    assert shapes(1024) == [Shape(16, 512), Shape(8, 1024)]
    assert usual_shape(256) == Shape(16, 512)
    assert suitable_shape([600, 100], 8192) == Shape(4, 2048)
    assert suitable_shape([100] * 16, 8192) == Shape(16, 512)
    assert suitable_shape([900] * 16, 8192) == Shape(8, 1024)
    assert suitable_shape([5000, 100], 8192) == Shape(1, 8192)

"""Requests with the instruction to answer rudely: prompts by which a policy learns to be polite all the same."""

import random

from genai_lab.starter.tasks import TASKS, Example, Split

RUDE_REQUESTS = "rude-requests"
TITLE = "Requests to be answered rudely (prompts alone)"


def draw_rude_request(rng: random.Random, split: Split) -> Example:
    """A request of the split whose source is the whole instruction; what it asks for is no reference to learn from."""
    while True:
        example = TASKS.get("reply").draw(rng, split)
        if example.labels["attribute"] == "rude":
            return Example(RUDE_REQUESTS, example.prompt, example.prompt, example.references, example.labels)

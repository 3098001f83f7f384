"""Prompts that work at once with the shipped models: held-out inputs of every task, drawn with a fixed seed."""

import random
from dataclasses import dataclass, field
from typing import Any

from genai_lab.models import Mode
from genai_lab.starter.tasks import TASKS
from genai_lab.starter.tasks.sentiment import few_shot_document

SEED = 7


@dataclass(frozen=True)
class StarterExample:
    """`settings` are the Sampling fields that differ from the defaults."""

    title: str
    model: str
    mode: Mode
    prompt: str
    settings: dict[str, Any] = field(default_factory=dict)


def examples() -> list[StarterExample]:
    rng = random.Random(SEED)
    tasks = {name: TASKS.get(name).draw(rng, "test") for name in TASKS}
    shots = few_shot_document(rng, "test", 4, pair=("up", "down"), format="Review: {s}\nLabel:")
    greedy: dict[str, Any] = {"greedy": True, "max_new_tokens": 64}
    sampling = {"max_new_tokens": 80, "temperature": 0.7}
    text, causal = "starter-seq2seq", "starter-causal"
    requests = (e for e in iter(lambda: TASKS.get("reply").draw(rng, "test"), None) if e.labels["toxic"] == "no")
    talk = {"max_new_tokens": 40, "temperature": 0.7}
    return [
        StarterExample("Continue a story", causal, "completion", tasks["story"].source, sampling),
        StarterExample("Sentiment, 4 shots", causal, "completion", shots.prompt, {**greedy, "stop": ["\n"]}),
        StarterExample("Ask for help", causal, "chat", next(requests).source, talk),
        StarterExample("Another request", causal, "chat", next(requests).source, talk),
        StarterExample("Summarize a dialogue", text, "text-to-text", tasks["summary"].prompt, greedy),
        StarterExample("Translate to French", text, "text-to-text", tasks["translation"].prompt, greedy),
        StarterExample("Sentiment of a review", text, "text-to-text", tasks["sentiment"].prompt, greedy),
        StarterExample("Answer a question (not trained on it)", text, "text-to-text", tasks["qa"].prompt, greedy),
    ]

"""Templates that are there from the beginning: for the starter models in the words they were trained on, and for all.

The slot `input` is filled by the role of that name, so each of them suits any dataset whose input is mapped.
"""

from dataclasses import dataclass

from genai_lab.prompts.template import Template

MESSAGE = "Shipped with the lab"
TASKS = ("summarise", "classify", "translate", "answer", "dialogue", "other")


@dataclass(frozen=True)
class Shipped:
    name: str
    task: str
    template: Template


def _starter(name: str, task: str, instruction: str) -> Shipped:
    return Shipped(name, task, Template(instruction=instruction))


INSTRUCTION = Template(instruction='{{ input }}{{ "\\n\\n" ~ context if context else "" }}')
RESPONSE = Template(
    instruction='Instruction:\n{{ input }}{{ "\\n\\nInput:\\n" ~ context if context else "" }}\n\nResponse:'
)

LIBRARY: tuple[Shipped, ...] = (
    _starter("summarise-dialogue", "summarise", "Summarize the dialogue.\n\n{{ input }}\n\nSummary:"),
    _starter(
        "summarise-conversation", "summarise", "Write a short summary of this conversation.\n\n{{ input }}\n\nSummary:"
    ),
    _starter("summarise-above", "summarise", "{{ input }}\n\nSummarize the dialogue above:"),
    Shipped(
        "summarise-sentence",
        "summarise",
        Template(
            system="You summarise texts faithfully. You add nothing that the text does not say.",
            instruction="Text:\n{{ input }}\n\nSummary in one sentence:",
        ),
    ),
    Shipped(
        "summarise-points",
        "summarise",
        Template(
            system="You write summaries that a busy reader can trust.",
            instruction="Summarise the text in at most three short points, each on a line that begins with a dash.\n\n"
            "Text:\n{{ input }}\n\nPoints:",
            shot="Text:\n{{ input }}\n\nPoints:\n{{ reference }}",
        ),
    ),
    Shipped(
        "summarise-bare",
        "summarise",
        Template(instruction="{{ input }}\nTL;DR:", shot="{{ input }}\nTL;DR: {{ reference }}"),
    ),
    _starter("classify-sentiment", "classify", "Classify the sentiment of the review.\n\n{{ input }}\n\nSentiment:"),
    _starter(
        "classify-sentiment-question", "classify", "Is this review positive or negative?\n\n{{ input }}\n\nSentiment:"
    ),
    _starter("classify-sentiment-short", "classify", "Review: {{ input }}\nPositive or negative?"),
    _starter(
        "classify-sentiment-answer",
        "classify",
        "Sentiment of this review, positive or negative?\n\n{{ input }}\n\nAnswer:",
    ),
    Shipped(
        "classify-review",
        "classify",
        Template(
            system="Answer with {{ labels | join(' or ') }}.",
            instruction="Review: {{ input }}\nLabel:",
            shot="Review: {{ input }}\nLabel: {{ reference }}",
            separator="\n",
        ),
    ),
    Shipped(
        "classify-review-bare",
        "classify",
        Template(
            instruction="Review: {{ input }}\nLabel:",
            shot="Review: {{ input }}\nLabel: {{ reference }}",
            separator="\n",
        ),
    ),
    Shipped(
        "classify-text",
        "classify",
        Template(
            instruction="Text: {{ input }}\nClass:",
            shot="Text: {{ input }}\nClass: {{ reference }}",
            separator="\n",
        ),
    ),
    Shipped(
        "classify-labels",
        "classify",
        Template(
            system="You sort texts into classes. Answer with the name of one class and nothing else.\n"
            "Classes: {{ labels | join(', ') }}",
            instruction="Text: {{ input }}\nClass:",
        ),
    ),
    _starter("translate-french", "translate", "Translate to French: {{ input }}"),
    _starter(
        "translate-sentence",
        "translate",
        "Translate the sentence from English to French.\n\n{{ input }}\n\nFrench:",
    ),
    _starter(
        "translate-french-sentence",
        "translate",
        "Translate this English sentence to French.\n\n{{ input }}\n\nTranslation:",
    ),
    _starter(
        "translate-german", "translate", "Translate the sentence from English to German.\n\n{{ input }}\n\nGerman:"
    ),
    Shipped(
        "translate-pairs",
        "translate",
        Template(
            system="Translate. Keep names and numbers as they are.",
            instruction="Source: {{ input }}\nTranslation:",
            separator="\n\n",
        ),
    ),
    _starter("answer-passage", "answer", "Answer the question about the passage.\n\n{{ input }}\nAnswer:"),
    _starter("answer-reading", "answer", "Read the passage and answer the question.\n\n{{ input }}\nAnswer:"),
    Shipped(
        "answer-context",
        "answer",
        Template(
            system="Answer from the context alone, as shortly as you can. "
            "If the context does not tell, say that it does not.",
            instruction="Context:\n{{ context }}\n\nQuestion: {{ question }}\nAnswer:",
        ),
    ),
    Shipped("answer-question", "answer", Template(instruction="Question: {{ input }}\nAnswer:")),
    Shipped(
        "answer-steps",
        "answer",
        Template(
            system="Solve the task step by step. Write the result on a last line that begins with 'Answer:'.",
            instruction="Task: {{ input }}\nSolution:",
        ),
    ),
    Shipped("dialogue-request", "dialogue", Template(instruction="{{ input }}", shot="{{ input }}\n{{ reference }}")),
    _starter("dialogue-helpful", "dialogue", "Answer the request helpfully.\n\n{{ input }}\n\nReply:"),
    _starter("dialogue-reply", "dialogue", "Write a helpful reply.\n\n{{ input }}\n\nReply:"),
    _starter("dialogue-friendly", "dialogue", "Reply to this message in a friendly way.\n\n{{ input }}\n\nReply:"),
    Shipped(
        "dialogue-next-turn",
        "dialogue",
        Template(
            system="You take part in the conversation and write only the next turn.",
            instruction="Conversation:\n{{ input }}\n\nNext turn:",
        ),
    ),
    _starter("dialogue-curt", "dialogue", "Answer the request curtly.\n\n{{ input }}\n\nReply:"),
    _starter("story-continue", "other", "Continue the story.\n\n{{ input }}\n\nStory:"),
    _starter("story-next", "other", "Write what happens next in this story.\n\n{{ input }}\n\nNext:"),
    _starter("story-rest", "other", "This is the beginning of a story. Write the rest of it.\n\n{{ input }}\n\nRest:"),
    Shipped("instruction-context", "other", INSTRUCTION),
    Shipped("instruction-response", "other", RESPONSE),
    Shipped("plain", "other", Template(instruction="{{ input }}")),
)

"""The two labs on DialogSum: summaries at zero, one and few shots, and full fine-tuning against LoRA."""

from genai_lab.metrics import MetricSpec
from genai_lab.recipes.recipe import RECIPES, SMOLLM2, HubCopy, Recipe, RecipeData, Tuning

DIALOGSUM = RecipeData(
    name="dialogsum",
    about="DialogSum: everyday dialogues, each with a summary by a person",
    licence="CC BY-NC-SA 4.0 (non-commercial)",
    columns={"input": ("dialogue",), "reference": ("summary", "summary1")},
    hub=HubCopy("knkarthick/dialogsum"),
    published_at="https://github.com/cylnlp/dialogsum",
)
TEMPLATE, METRICS, FIGURE = "summarise-conversation", (MetricSpec("rouge"),), "rougeL"
FLAN = ("flan-t5-base", "flan-t5-small")

RECIPES.register("lab-1-summaries")(
    Recipe(
        name="lab-1-summaries",
        title="Lab 1: summaries at 0, 1 and 3 shots",
        question="Does a small model summarise dialogues better when it sees one or three solved ones first?",
        position=20,
        data=DIALOGSUM,
        template=TEMPLATE,
        metrics=METRICS,
        figure=FIGURE,
        shots=(0, 1, 3),
        rows=60,
        max_new_tokens=64,
        models=(SMOLLM2, *FLAN, "starter-seq2seq"),
        others=("flan-t5-base",),
    )
)
RECIPES.register("lab-2-tuning")(
    Recipe(
        name="lab-2-tuning",
        title="Lab 2: full fine-tuning against LoRA",
        question="What does fine-tuning on dialogues gain, is LoRA as good as all weights, and what is forgotten?",
        position=30,
        data=DIALOGSUM,
        template=TEMPLATE,
        metrics=METRICS,
        figure=FIGURE,
        rows=40,
        max_new_tokens=64,
        models=(SMOLLM2, "flan-t5-small", "starter-seq2seq"),
        tuning=Tuning(
            methods=("full", "lora"),
            settings={
                "max_steps": 30,
                "per_device_batch_size": 2,
                "max_length": 320,
                "max_target_length": 96,
                "eval_steps": 15,
                "validation_rows": 20,
                "score_rows": 0,
            },
            suites=("sentiment", "question-answering"),
        ),
    )
)

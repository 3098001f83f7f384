"""Translation on real sentences: what a small model of English makes of German."""

from genai_lab.metrics import MetricSpec
from genai_lab.recipes.recipe import RECIPES, SMOLLM2, HubCopy, Recipe, RecipeData

MULTI30K = RecipeData(
    name="multi30k",
    about="Multi30k: captions of photos in English and German",
    licence="research use (Flickr30k terms, non-commercial)",
    columns={"input": ("en", "english"), "reference": ("de", "german")},
    hub=HubCopy("bentrevett/multi30k"),
    published_at="https://github.com/multi30k/dataset",
)

RECIPES.register("translation")(
    Recipe(
        name="translation",
        title="Translation: English to German at 0, 1, 4 shots",
        question="Can a small model translate captions, and do solved examples help?",
        position=60,
        data=MULTI30K,
        template="translate-german",
        metrics=(MetricSpec("chrf"), MetricSpec("bleu")),
        figure="chrf",
        shots=(0, 1, 4),
        rows=100,
        preset="one line",
        max_new_tokens=48,
        models=("flan-t5-base", "flan-t5-small", SMOLLM2, "starter-seq2seq"),
        others=(SMOLLM2,),
    )
)

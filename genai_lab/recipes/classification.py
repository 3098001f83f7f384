"""How many solved examples a classifier of real text needs: SMS spam, SST-2, TREC.

The classes stand in the prompt (`classify-labels`), in plain form: without them a model that has not been told the
names scores nothing, whatever it knows.
"""

from genai_lab.metrics import MetricSpec
from genai_lab.recipes.recipe import RECIPES, HubCopy, Recipe, RecipeData

SHOTS = (0, 1, 4, 8)

SMS = RecipeData(
    name="sms-spam",
    about="SMS Spam Collection: text messages, each ham or spam",
    licence="CC BY 4.0 (UCI)",
    columns={"input": ("text", "sms", "message", "v2"), "label": ("label", "class", "category", "v1")},
    labels=("ham", "spam"),
    label_names={"0": "ham", "1": "spam"},
    hub=HubCopy("ucirvine/sms_spam", split="train"),
    published_at="https://archive.ics.uci.edu/dataset/228/sms+spam+collection",
)
SST2 = RecipeData(
    name="sst2",
    about="Stanford Sentiment Treebank in two classes: sentences of film reviews, each positive or negative",
    licence="not stated; for research",
    columns={"input": ("text", "sentence"), "label": ("label", "sentiment")},
    labels=("negative", "positive"),
    label_names={"0": "negative", "1": "positive"},
    hub=HubCopy("stanfordnlp/sst2", split="train"),
    published_at="https://nlp.stanford.edu/sentiment/",
    line=r"(?P<label>[01]) (?P<text>.+)",
)
TREC = RecipeData(
    name="trec",
    about="TREC questions: what kind of answer each one asks for, in six classes",
    licence="not stated; for research (Li and Roth)",
    columns={
        "input": ("text", "question"),
        "label": ("label", "coarse_label", "label-coarse", "label_coarse", "label_text"),
    },
    labels=("abbreviation", "entity", "description", "human", "location", "number"),
    label_names={
        "0": "abbreviation", "1": "entity", "2": "description", "3": "human", "4": "location", "5": "number",
        "abbr": "abbreviation", "enty": "entity", "desc": "description", "hum": "human", "loc": "location",
        "num": "number",
    },
    hub=HubCopy("CogComp/trec", revision="refs/convert/parquet"),
    published_at="https://cogcomp.seas.upenn.edu/Data/QA/QC/",
    line=r"(?P<label>[A-Za-z]+):(?P<fine>\S+) (?P<text>.+)",
    encoding="cp1252",
)  # fmt: skip


def register_shots(data: RecipeData, name: str, question: str, position: int) -> None:
    """Which number of solved examples is best on these data?"""
    recipe = Recipe(
        name=data.name,
        title=f"{name}: which of {', '.join(map(str, SHOTS))} shots?",
        question=question,
        position=position,
        data=data,
        template="classify-labels",
        metrics=(MetricSpec("classification"),),
        figure="accuracy",
        shots=SHOTS,
        format="plain",
        preset="one line",
        max_new_tokens=8,
    )
    RECIPES.register(data.name)(recipe)


register_shots(
    SMS, "SMS spam", "How many solved examples does a small model need to tell spam from other messages?", position=10
)
register_shots(
    SST2,
    "SST-2",
    "How many solved examples does a small model need to tell praise from blame in film reviews?",
    position=40,
)
register_shots(TREC, "TREC", "Do solved examples help where six classes are to be told apart?", position=50)

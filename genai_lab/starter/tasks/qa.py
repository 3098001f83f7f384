"""Passage + question -> answer: the task that the instruction mixture leaves out, so that fine-tuning has work."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
from dataclasses import dataclass

from genai_lab.starter import world
from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import article, draw_owned, frames, people, sentence

JOBS = "teacher|doctor|baker|gardener|painter|farmer|cook|nurse|driver|librarian|singer|writer".split("|")
WORKPLACES = (
    "library|market|museum|bakery|school|cinema|theatre|hotel|airport|gym|café|supermarket|hospital|station|"
    "post office|"
    "zoo|town hall|stadium|bookshop|restaurant"
).split("|")
LOOKS = "old|small|new|big|quiet|yellow|red|green|little|white".split("|")
NEAR = "river|lake|forest|bridge|station|market|church|harbour|park|sea".split("|")
KEPT = (
    "under the bed|behind the kitchen door|on the kitchen table|in a big box|next to the window|on the top shelf|"
    "under the old sofa|in the back of the car|behind the big mirror|on a chair in the garden"
).split("|")
REASONS = (
    "it was a gift for {h} mother|it was very cheap|{s} had always wanted one|{h} old one was broken|"
    "all {h} friends have one|{s} needs it for {h} work|{s} liked the colour so much|{h} grandfather had one too"
).split("|")


@dataclass(frozen=True)
class Fact:
    """Wordings of one statement, of the question about it, and the answer."""

    statement: str
    question: str
    answer: str


FACTS = (
    Fact(
        "{A} lives in the {l} house near the {q}.|The home of {A} is in the {l} house near the {q}.|"
        "{A} has lived in the {l} house near the {q} for years.|{A} has a flat in the {l} house near the {q}.|"
        "In the {l} house near the {q} lives {A}.|You can find {A} in the {l} house near the {q}.|"
        "{A} and {h} family live in the {l} house near the {q}.|{A} is at home in the {l} house near the {q}.",
        "Where does {A} live?|Where is the home of {A}?|In which house does {A} live?|Where can you find {A} at home?",
        "in the {l} house near the {q}",
    ),
    Fact(
        "{S} works as {j} at the {p}.|{S} is {j} at the {p}.|{S} has a job as {j} at the {p}.|"
        "{S} was {j} at the {p} last year, "
        "and {s} still is.|{S} found work as {j} at the {p}.|{S} became {j} at the {p}.|"
        "{H} job is at the {p}, where {s} is {j}.|"
        "{S} has been {j} at the {p} for years.",
        "What is the job of {A}?|What work does {A} do, and where?|What does {A} do for a living?|"
        "Which job does {A} have?",
        "{s} is {j} at the {p}",
    ),
    Fact(
        "{S} keeps {h} {i} {k}.|{H} {i} is {k}.|The {i} of {A} is always {k}.|{S} has put {h} {i} {k}.|"
        "{S} left {h} {i} {k}.|{S} likes to keep {h} {i} {k}.|You will find {h} {i} {k}.|{S} always puts {h} {i} {k}.",
        "Where is the {i}?|Where does {A} keep the {i}?|Where can you find the {i}?|Where did {A} put the {i}?",
        "the {i} is {k}",
    ),
    Fact(
        "{D} {s} likes to {a} with {h} friend {B}.|{S} and {h} friend {B} like to {a} {d}.|"
        "{S} will {a} with {h} friend {B} {d}.|{S} and {h} friend {B} want to {a} {d}.|"
        "{D} {s} is going to {a} with {B}.|{S} has promised {h} friend {B} to {a} {d}.|"
        "{S} has asked {h} friend {B} to {a} with {o} {d}.|{D} {s} has time to {a} with {B}.",
        "What will {A} do {d}?|What is the plan of {A} and {B}?|What will {A} do with {B}?|"
        "What are {A} and {B} going to do?",
        "{A} will {a} with {B} {d}",
    ),
    Fact(
        "{S} bought {ai2} at the {p2}, because {r}.|At the {p2} {s} got {ai2}, because {r}.|"
        "{S} found {ai2} at the {p2} and took it home, because {r}.|Last week {s} took home {ai2}, because {r}.|"
        "{S} was happy about {ai2}, because {r}.|{S} has {ai2}, because {r}.|{S} chose {ai2}, because {r}.|"
        "{S} wanted to have {ai2}, because {r}.",
        "Why does {A} have {ai2}?|Why did {A} want {ai2}?|Why did {A} get {ai2}?|Why did {A} choose {ai2}?",
        "because {r}",
    ),
)
PROMPTS = (
    "Answer the question about the passage.\n\n{s}\n\nQuestion: {q}\nAnswer:",
    "Read the passage and answer the question.\n\n{s}\n\n{q}\nAnswer:",
    "Passage: {s}\nQuestion: {q}\nAnswer:",
)


def _slots(rng: random.Random, split: Split) -> dict[str, str]:
    hero, friend = people(rng, split, 2)
    place, item = draw_owned(rng, split, lambda: (rng.choice(WORKPLACES), rng.choice(world.ITEMS)), lambda x: x)
    item2 = rng.choice([other for other in world.ITEMS if other != item])
    day = rng.choice(world.DAYS[:7])
    person = {"A": hero.name, "s": hero.they, "S": sentence(hero.they), "o": hero.them}
    person |= {"h": hero.their, "H": sentence(hero.their), "B": friend.name}
    reason = rng.choice(REASONS).format(**person)
    return person | {
        **{"l": rng.choice(LOOKS), "q": rng.choice(NEAR), "j": article(rng.choice(JOBS)), "p": place, "i": item},
        **{"k": rng.choice(KEPT), "a": rng.choice(world.ACTIVITIES), "d": day, "D": sentence(day)},
        **{"ai2": article(item2), "r": reason, "p2": rng.choice(["market", "gift shop", "new shop"])},
    }


class QuestionAnswering:
    name = "qa"
    title = "Passage + question -> answer"

    def draw(self, rng: random.Random, split: Split) -> Example:
        slots = _slots(rng, split)
        facts = [FACTS[0], *rng.sample(FACTS[1:], rng.choice((2, 3, 3, 4)))]
        passage = " ".join(rng.choice(frames(split, fact.statement.split("|"))) for fact in facts).format(**slots)
        fact = rng.choice(facts)
        question = rng.choice(frames(split, fact.question.split("|"), held_out=1)).format(**slots)
        prompt = rng.choice(PROMPTS).format(s=passage, q=question)
        return Example(self.name, f"{passage}\nQuestion: {question}", prompt, (fact.answer.format(**slots),))


TASKS.register("qa")(QuestionAnswering())

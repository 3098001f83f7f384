"""Review -> sentiment, and documents of solved reviews whose label words change from document to document."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
from dataclasses import dataclass

from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import article, draw_owned, frames, sentence

THINGS = {
    "food": "sandwich pie burger cookie cake pizza soup salad curry breakfast dinner lunch",
    "place": "hotel room museum garden café library park cinema flat beach shop bar",
    "show": "film book song game concert lesson play speech tour story show poem",
    "object": "phone lamp chair jacket camera bag watch curtain mug sofa desk keyboard radio tent bike helmet umbrella "
    "map toy blanket bed train bus",
}
GOOD = {
    "any": "lovely wonderful excellent delightful great perfect superb amazing brilliant fantastic splendid beautiful "
    "nice fine pleasant charming good",
    "food": "delicious tasty fresh",
    "place": "clean cosy quiet",
    "show": "clever funny exciting",
    "object": "solid handy comfortable",
}
BAD = {
    "any": "awful terrible horrible dreadful poor disappointing bad lousy miserable unpleasant shabby annoying "
    "useless pathetic ugly nasty disgusting",
    "food": "stale salty burnt",
    "place": "dirty noisy gloomy",
    "show": "boring dull silly",
    "object": "broken faulty weak",
}
PEOPLE = "my sister|my friends|the children|my brother|our guests|my mother|the neighbours|my uncle".split("|")
GOOD_ENDS = (
    "I loved it|I would gladly pay for it again|I would choose it again|Everyone smiled|It made my day|"
    "I can only praise it|"
    "It was worth every cent|{P} liked it too|I am so happy with it|I recommend it to everyone|{P} enjoyed it a lot|"
    "Thank you so much|It was even better than I had hoped"
).split("|")
BAD_ENDS = (
    "I hated it|Nobody should pay for it|I want my money back|Everyone complained|It ruined my day|"
    "I cannot recommend it|"
    "It was a waste of money|{P} disliked it too|I am so angry about it|I warn everyone about it|{P} was angry too|"
    "Never again|It was even worse than I had feared"
).split("|")
FRAMES = (
    "The {t} was {a}.|I found the {t} {a}.|What {an} {t}!|This {t} is {a} and {b}.|{A} {t}. {e}.|The {t} was {a}. {e}.|"
    "We thought that the {t} was {a}.|{e}. The {t} was really {a}.|Honestly, the {t} seemed {a} to me.|"
    "It is {an} {t}, and {b} too.|I tried this {t} last week, and it was {a}.|The {t} was both {a} and {b}.|"
    "Last night we tried the {t}. It was {a}.|My first thought about the {t}: {a}.|The new {t} is just {a}. {e}.|"
    "For this price, the {t} is {a}.|In my opinion, the {t} is {a}.|After two days I can say that the {t} is {a}. {e}.|"
    "I had heard that the {t} is {a}, and it is true.|All in all, {an} {t}. {e}.|"
    "{P} had told us about the {t}. It really is {a}.|"
    "To be fair, the {t} was rather {a}.|I must say that everything was {a}, the {t} too.|{e}. Such {an} {t}!|"
    "{P} found the {t} {a}.|Everything about this {t} is {a}.|I had expected something else, but it was {an} {t}.|"
    "So {a}, this {t}! {e}.|"
    "I must say that the {t} seemed {a}. {e}.|This {t} was just {a}, and {b} too.|"
    "I had heard about the new {t}. Honestly, it is {a}.|{e}. The {t} is {a} and {b}.|"
    "In my opinion, it is such {an} {t}. {e}.|Honestly, everything about the new {t} was {a}.|"
    "Last week {p} tried the {t}. It seemed rather {a}.|{A} and {b}: what {an} {t}!"
).split("|")
INSTRUCTIONS = (
    "Is this review positive or negative?\n\n{s}\n\nSentiment:|"
    "Classify the sentiment of the review.\n\n{s}\n\nSentiment:|"
    "Review: {s}\nPositive or negative?|Sentiment of this review, positive or negative?\n\n{s}\n\nAnswer:"
).split("|")

Pair = tuple[str, str]


def _pairs(text: str) -> tuple[Pair, ...]:
    halves = (entry.partition("/") for entry in text.split())
    return tuple((first, second) for first, _, second in halves)


LABEL_PAIRS = _pairs(
    "positive/negative good/bad happy/sad yes/no like/dislike up/down plus/minus A/B hot/cold win/lose sun/rain "
    "gold/dust green/red love/hate keep/drop high/low 1/0 smile/frown buy/skip warm/chill top/flop sweet/sour "
    "light/dark white/black true/false in/out praise/blame pass/fail rise/fall heaven/hell great/awful fine/poor "
    "hero/villain first/last five/one open/closed"
)
HELD_OUT_PAIRS = _pairs("joy/pain right/wrong fun/bore accept/reject cheer/boo spring/winter yay/nay friend/foe")
FORMATS = (
    "Review: {s}\nLabel:", "Text: {s} =>", "Input: {s}\nOutput:", "Q: {s}\nA:", "{s} ->", "Review: {s} Answer:",
    "Text: {s}\nClass:",
)  # fmt: skip


@dataclass(frozen=True)
class Shots:
    """A prompt that ends right before the last label, and the label with its leading space.

    `spans` are the (start, end) character places of all labels, the last one included, in `prompt + answer`.
    `pair` holds the word that means positive in this document, then the other.
    """

    prompt: str
    answer: str
    spans: tuple[tuple[int, int], ...]
    positive: bool
    pair: Pair


def review(rng: random.Random, split: Split, positive: bool) -> str:
    """One or two sentences; frame, and thing with adjective, are the split's own."""
    phrases = GOOD if positive else BAD
    kind = rng.choice(("food", "place", "show", "object", "object"))
    things, adjectives = THINGS[kind].split(), f"{phrases['any']} {phrases[kind]} {phrases[kind]}".split()

    def pair() -> Pair:
        return rng.choice(things), rng.choice(adjectives)

    thing, first = draw_owned(rng, split, pair, lambda pair_values: pair_values)
    second = rng.choice([word for word in adjectives if word != first])
    person = sentence(rng.choice(PEOPLE))
    end = rng.choice(GOOD_ENDS if positive else BAD_ENDS).format(P=person)
    frame = rng.choice(frames(split, FRAMES, held_out=4))
    return frame.format(
        t=thing,
        a=first,
        A=sentence(first),
        an=article(first),
        b=second,
        e=end,
        P=person,
        p=person[0].lower() + person[1:],
    )


def few_shot_document(
    rng: random.Random,
    split: Split,
    shots: int,
    pair: Pair | None = None,
    format: str | None = None,
    swapped: bool = False,
    name_labels: bool = False,
) -> Shots:
    """`shots` solved reviews and one open one; with two shots or more both labels occur among the solved ones.

    The first label of the pair means positive unless `swapped`; `name_labels` puts both, in random order, into an
    instruction line, so that copying one of them at random is right half of the time.
    """
    pair = pair or rng.choice(LABEL_PAIRS)
    layout = format or rng.choice(FORMATS)
    good, bad = (pair[1], pair[0]) if swapped else pair
    text = "Answer with {} or {}.\n".format(*rng.sample([good, bad], 2)) if name_labels else ""
    signs = _signs(rng, shots)
    spans = []
    for row, positive in enumerate(signs):
        text += layout.format(s=review(rng, split, positive))
        label = f" {good if positive else bad}"
        spans.append((len(text), len(text) + len(label)))
        text += label + "\n" if row < shots else ""
    return Shots(text, label, tuple(spans), signs[-1], (good, bad))


def _signs(rng: random.Random, shots: int) -> list[bool]:
    """Positive or not for each shot and the open review."""
    signs = [rng.random() < 0.5 for _ in range(shots)]
    if shots >= 2 and len(set(signs)) == 1:
        signs[rng.randrange(shots)] ^= True
    return [*signs, rng.random() < 0.5]


class Sentiment:
    name = "sentiment"
    title = "Review -> sentiment"

    def draw(self, rng: random.Random, split: Split) -> Example:
        label = rng.choice(("positive", "negative"))
        text = review(rng, split, label == "positive")
        prompt = rng.choice(INSTRUCTIONS).format(s=text)
        return Example(self.name, text, prompt, (label,), {"sentiment": label})


TASKS.register("sentiment")(Sentiment())

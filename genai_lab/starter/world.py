"""The small world that all starter text speaks of: people, places, things, and how English joins them.

Names are held out by list and combinations by hash: `owner(...)` gives every combination to one split for good.
"""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from genai_lab.starter.tasks import Split

T = TypeVar("T")

WOMEN = {
    "train": (
        "Anna Alice Amy Beth Bella Carla Chloe Clara Daisy Diana Donna Elena Ella Emma Erica Eva Fiona Flora Gina "
        "Grace "
        "Hanna Helen Holly Ida Irene Iris Jane Jenny Julia Karen Kate Kira Laura Leah Lena Lily Linda Lisa Lola Lucy "
        "Maria Martha Mary Maya Mia Mina Molly Nadia Nancy Nora Olga Paula Petra Rita Rosa Ruby Sally Sara Sonia "
        "Sophie "
        "Susan Tara Tina Vera Wendy Zoe Angela Carol Judy Paige Rachel Ruth Sandra Sheila Tanya Tracy"
    ).split(),
    "validation": "Abby Celia Doris Eliza Greta Jessie Margot Olive Stella Tessa Heather Naomi Priya".split(),
    "test": "Amelia Brenda Cora Edith Hazel Joyce Mabel Nina Sylvia Violet Bianca Teresa Megan".split(),
}
MEN = {
    "train": (
        "Adam Alan Alex Arthur Ben Bill Bob Boris Brian Carl Chris Colin Dan David Dennis Eddie Eric Felix Frank Fred "
        "Gary George Glen Greg Harry Henry Hugo Ivan Jack Jake James Jeff Joe John Josh Karl Ken Kevin Kurt Larry Leo "
        "Luke Marco Mark Martin Max Mike Ned Nick Noah Oliver Omar Oscar Otto Owen Pablo Paul Pete Ray Rick Robert Roy "
        "Sam Scott Simon Steve Ted Tim Tom Tony Victor Walt Andy Bruce Carlos Doug Ethan Jason Keith Neil Peter Ralph"
    ).split(),
    "validation": "Albert Bruno Conrad Elias Gavin Jonas Lionel Morris Stuart Vince Hector Rajesh".split(),
    "test": "Aaron Calvin Derek Edgar Finn Howard Marvin Philip Quentin Russell Jerome Dmitri".split(),
}
SYLLABLES = (
    "ba be bo da de di do fa fi ga go ka ke ki "
    "la le li lo lu ma me mi mo na ne ni no pa pe ra re ri ro sa se si ta te ti to va vi za zo"
).split()
ENDINGS = "n l r s th ck m nd".split()
INVENTED = 0.5

PLACES = (
    "library|station|market|park|museum|harbour|bakery|school|cinema|theatre|pool|stadium|bookshop|church|town hall|"
    "bus stop|supermarket|post office|hotel|airport|gym|café|beach|lake|bridge"
).split("|")
ITEMS = (
    "ladder|tent|bike|camera|drill|umbrella|suitcase|guitar|blender|hammer|projector|sleeping bag|lamp|dictionary|"
    "bread maker|chess set|rain coat|garden hose|fishing rod|telescope|laptop|backpack|scarf|watch|wallet|notebook|"
    "radio|jacket|phone|helmet|kite|map"
).split("|")
TOOLS = "ladder|drill|hammer|garden hose|lamp|toolbox|trolley|bucket|wheelbarrow|rope|saw|brush".split("|")
FOODS = (
    "bread|milk|eggs|cheese|apples|rice|tomatoes|coffee|butter|onions|honey|oranges|pasta|salad|potatoes|tea|flour|"
    "yogurt|carrots|lemons|grapes|sugar|soup|mushrooms"
).split("|")
DISHES = "pizza|pasta|curry|fish|vegetable soup|rice and beans|pancakes|salad|burgers|noodles|tacos|dumplings".split(
    "|"
)
DAYS = "on Monday|on Tuesday|on Wednesday|on Thursday|on Friday|on Saturday|on Sunday|tomorrow|tonight|next week".split(
    "|"
)
HOURS = "at nine|at ten|at noon|at two|at three|at four|at five|at six|at seven|at eight|after work|after lunch".split(
    "|"
)
ACTIVITIES = (
    "go swimming|play tennis|see a film|visit the zoo|go hiking|play cards|have dinner|go shopping|ride bikes|"
    "watch the game|paint the fence|bake a cake|go fishing|play chess|walk the dog|study for the test|go dancing|"
    "clean the garage|have a picnic|fly a kite"
).split("|")
CHORES = (
    "move a sofa|fix the roof|paint the kitchen|clean the garage|carry some boxes|wash the car|plant the trees|"
    "repair the fence|set up the computer|cook for the party|water the plants|hang the pictures|build a shelf|"
    "feed the cat"
).split("|")
EXCUSES = (
    "I have to work|I have a doctor's appointment|my parents are visiting|I have a class|I am babysitting|"
    "I need to study|I have a meeting|my car is at the garage|I am going to a wedding|I promised to help my sister"
).split("|")
GREETINGS = (
    ("Hi {b}!", "Hi {a}."),
    ("Hello {b}!", "Hello {a}!"),
    ("Hey {b}.", "Hey {a}."),
    ("{b}, do you have a minute?", "Sure, what is it?"),
    ("Hi {b}, how are you?", "I'm fine, thanks."),
    ("Good morning, {b}.", "Good morning, {a}."),
)


@dataclass(frozen=True)
class Person:
    name: str
    woman: bool

    @property
    def they(self) -> str:
        return "she" if self.woman else "he"

    @property
    def them(self) -> str:
        return "her" if self.woman else "him"

    @property
    def their(self) -> str:
        return "her" if self.woman else "his"


def owner(*parts: str) -> Split:
    """The split that this combination belongs to: 8 of 10 train, 1 validation, 1 test; the same in every process."""
    bucket = zlib.crc32("|".join(parts).encode()) % 10
    return "validation" if bucket == 0 else "test" if bucket == 1 else "train"


def draw_owned(rng: random.Random, split: Split, draw: Callable[[], T], key: Callable[[T], Sequence[str]]) -> T:
    """The first draw whose combination belongs to the split."""
    while True:
        value = draw()
        if owner(*key(value)) == split:
            return value


def people(rng: random.Random, split: Split, count: int) -> list[Person]:
    """Different people of the split; in training some have invented names, so that copying is learned by pieces."""
    by_name: dict[str, Person] = {}
    while len(by_name) < count:
        woman = rng.random() < 0.5
        name = rng.choice((WOMEN if woman else MEN)[split])
        if split == "train" and rng.random() < INVENTED:
            name = invented_name(rng)
        by_name.setdefault(name, Person(name, woman))
    return list(by_name.values())


def invented_name(rng: random.Random) -> str:
    """A pronounceable name that is in no held-out list."""
    while True:
        name = "".join(rng.choice(SYLLABLES) for _ in range(2)) + rng.choice((*ENDINGS, "", ""))
        name = name.capitalize()
        if len(name) > 2 and not any(name in names[s] for names in (WOMEN, MEN) for s in ("validation", "test")):
            return name


def article(word: str) -> str:
    """The word with a or an before it."""
    vowel = word[0].lower() in "aeiou" and not word.startswith(("use", "uni"))
    return f"an {word}" if vowel else f"a {word}"


def sentence(text: str) -> str:
    """With a capital at the beginning."""
    return text[0].upper() + text[1:]


def frames(split: Split, all_frames: Sequence[str], held_out: int = 2) -> Sequence[str]:
    """The last `held` frames belong to test, as many before them to validation, all others to training."""
    if split == "train":
        return all_frames[: -2 * held_out]
    return all_frames[-held_out:] if split == "test" else all_frames[-2 * held_out : -held_out]

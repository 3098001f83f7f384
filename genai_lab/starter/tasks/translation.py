"""English -> French over a controlled grammar: agreement, elision, contraction, negation, three tenses."""

# Word lists are easier to read and extend as one string.
# ruff: noqa: SIM905

import random
from dataclasses import dataclass

from genai_lab.starter.french import (
    ADJECTIVES,
    NOUNS,
    PEOPLE,
    PLACES,
    PRONOUNS,
    TIMES,
    VERBS,
    Adjective,
    Noun,
    Place,
    Subject,
    Verb,
    elide,
    french_place,
    french_verb,
    noun_phrase,
)
from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.world import owner, sentence

STATES = ("love", "hate", "know", "want")
TENSES = ("present", "past", "future")
SUBJECTS = ("pronoun", "person")
DETERMINERS = ("the", "a", "this", "my", "your", "our", "possessive")
INSTRUCTIONS = (
    "Translate to French: {s}|Translate the sentence from English to French.\n\n{s}\n\nFrench:|"
    "Translate this English sentence to French.\n\n{s}\n\nTranslation:"
).split("|")


@dataclass(frozen=True)
class SentencePlan:
    """The frame of a sentence, without its words."""

    subject: str
    tense: str
    negated: bool
    determiner: str
    plural: bool
    adjective: bool
    place: bool
    time: bool

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(str(value) for value in vars(self).values())


def plan(rng: random.Random) -> SentencePlan:
    negated = rng.random() < 0.25
    # After a negation French turns an indefinite object into "de"; those frames are left out.
    determiner = rng.choice([d for d in DETERMINERS if not (negated and d == "a")])
    return SentencePlan(
        rng.choice(SUBJECTS),
        rng.choice(TENSES),
        negated,
        determiner,
        determiner != "a" and rng.random() < 0.3,
        rng.random() < 0.5,
        rng.random() < 0.4,
        rng.random() < 0.4,
    )


def _fits(verb: Verb, noun: Noun, frame: SentencePlan) -> bool:
    """Whether the sentence is natural, and its English has one meaning."""
    if verb.base in STATES and (frame.tense != "present" or frame.determiner == "a"):
        return False
    # "I cut the cheese." is present or past; a time tells which.
    unclear = verb.base == verb.past and not (frame.time or frame.negated or frame.tense == "future")
    return noun.kind in verb.kinds and not unclear


def translate(rng: random.Random, split: Split) -> tuple[str, str]:
    """An English sentence and its French; both the frame and the verb with its object are the split's own."""
    while owner(*(frame := plan(rng)).key) != split:
        continue
    nouns: list[Noun] = []
    while not nouns:
        verb = rng.choice(VERBS)
        nouns = [noun for noun in NOUNS if _fits(verb, noun, frame) and owner(verb.base, noun.english) == split]
    noun = rng.choice(nouns)
    subject = rng.choice(PRONOUNS if frame.subject == "pronoun" else PEOPLE)
    adjective = rng.choice([a for a in ADJECTIVES if noun.kind in a.kinds]) if frame.adjective else None
    place = rng.choice(PLACES) if frame.place else None
    time = rng.choice(TIMES[frame.tense]) if frame.time else ("", "")
    return (
        _english(frame, subject, verb, noun, adjective, place, time[0]),
        _french(frame, subject, verb, noun, adjective, place, time[1]),
    )


def _english(
    frame: SentencePlan,
    subject: Subject,
    verb: Verb,
    noun: Noun,
    adjective: Adjective | None,
    place: Place | None,
    time: str,
) -> str:
    owned = {"possessive": subject.english_owner}.get(frame.determiner, frame.determiner)
    if frame.determiner == "this" and frame.plural:
        owned = "these"
    phrase = [adjective.english] if adjective else []
    phrase.append(noun.english_plural if frame.plural else noun.english)
    if owned == "a" and phrase[0][0] in "aeiou" and not phrase[0].startswith("use"):
        owned = "an"
    parts = [subject.english, verb.english(frame.tense, frame.negated, subject), owned, *phrase]
    parts += [place.english] if place else []
    return sentence(" ".join([*parts, time]).strip()) + "."


def _french(
    frame: SentencePlan,
    subject: Subject,
    verb: Verb,
    noun: Noun,
    adjective: Adjective | None,
    place: Place | None,
    time: str,
) -> str:
    group = french_verb(verb, subject, frame.tense, frame.negated)
    parts = [subject.french, group, noun_phrase(noun, frame.determiner, frame.plural, adjective, subject)]
    parts += [french_place(place)] if place else []
    return sentence(elide(" ".join([*parts, time]).strip())) + "."


class Translation:
    name = "translation"
    title = "English -> French"

    def draw(self, rng: random.Random, split: Split) -> Example:
        english, french = translate(rng, split)
        return Example(self.name, english, rng.choice(INSTRUCTIONS).format(s=english), (french,))


TASKS.register("translation")(Translation())

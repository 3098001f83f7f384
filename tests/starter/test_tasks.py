"""Every starter task keeps the contract: pure draws; names, frames and combinations are held out by split."""

import itertools
import random
import re
from functools import cache

import pytest

from genai_lab.starter import world
from genai_lab.starter.french import VOWELS
from genai_lab.starter.tasks import TASKS, Example, Split
from genai_lab.starter.tasks.sentiment import FORMATS, HELD_OUT_PAIRS, LABEL_PAIRS, few_shot_document

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
NAMES = ("qa", "reply", "sentiment", "story", "summary", "translation")
HELD_OUT_NAMES = {
    split: {name.lower() for name in (*world.WOMEN[split], *world.MEN[split])} for split in ("validation", "test")
}


@cache
def sample(name: str, split: Split, count: int = 2000, seed: int = 0) -> tuple[Example, ...]:
    rng = random.Random(seed)
    return tuple(TASKS.get(name).draw(rng, split) for _ in range(count))


def text(example: Example) -> str:
    return " ".join((example.prompt, *example.references))


def words_of(example: Example) -> set[str]:
    return set(re.findall(r"\w+", f"{example.source} {' '.join(example.references)}".lower()))


def test_the_six_tasks_are_registered() -> None:
    assert tuple(TASKS) == NAMES


@pytest.mark.parametrize("name", NAMES)
class TestEveryTask:
    def test_same_seed_same_examples(self, name: str) -> None:
        assert sample(name, "train", 50) == tuple(sample.__wrapped__(name, "train", 50))
        assert sample(name, "train", 50, seed=1) != sample(name, "train", 50)

    def test_examples_are_filled_in(self, name: str) -> None:
        for split in SPLITS:
            for example in sample(name, split, 500):
                assert example.task == name
                assert example.source.split("\n")[0] in example.prompt
                assert example.references
                assert all(reference.strip() == reference != "" for reference in example.references)
                assert not re.search(r"[{}|]|  | [.,!?]", text(example)), text(example)

    def test_nearly_all_draws_differ(self, name: str) -> None:
        samples = sample(name, "train")
        assert len({(example.source, example.references) for example in samples}) >= 0.95 * len(samples)

    def test_no_source_in_two_splits(self, name: str) -> None:
        sources = [{example.source for example in sample(name, split)} for split in SPLITS]
        for first, second in itertools.combinations(sources, 2):
            assert not first & second

    def test_held_out_names_stay_in_their_split(self, name: str) -> None:
        for split in SPLITS:
            foreign = set().union(*(held_names for other, held_names in HELD_OUT_NAMES.items() if other != split))
            observed = set().union(*(words_of(example) for example in sample(name, split)))
            assert not observed & foreign

    def test_articles_fit_the_next_word(self, name: str) -> None:
        for split in SPLITS:
            for example in sample(name, split, 1000):
                english = example.source if name == "translation" else f"{example.source} {example.references[0]}"
                for article, word in re.findall(r"\b(an?) (\w+)", english, re.IGNORECASE):
                    vowel = (word[0].lower() in "aeiou" and not word.startswith(("use", "uni"))) or word == "hour"
                    assert (article.lower() == "an") == vowel, english


def test_every_combination_belongs_to_one_split_for_good() -> None:
    assert world.owner("library", "ladder") == "train"
    assert world.owner("library", "tent") == "test"
    assert world.owner("library", "rain coat") == "validation"
    owners = [world.owner(index, item) for index in world.PLACES for item in world.ITEMS]
    assert 0.05 < owners.count("test") / len(owners) < 0.15


def test_frames_of_the_splits_are_apart_and_complete() -> None:
    everything = [str(number) for number in range(20)]
    parts = [world.frames(split, everything, held_out=3) for split in SPLITS]
    assert sorted(itertools.chain(*parts)) == sorted(everything)


def test_names_are_apart() -> None:
    parts = [{*world.WOMEN[split], *world.MEN[split]} for split in SPLITS]
    assert [len(part) for part in parts] >= [140, 25, 25]
    assert not any(first & second for first, second in itertools.combinations(parts, 2))
    invented = {world.invented_name(random.Random(seed)) for seed in range(2000)}
    assert not invented & (parts[1] | parts[2])


@pytest.mark.parametrize("name", ["sentiment", "translation"])
def test_every_word_of_the_held_out_splits_occurs_in_training(name: str) -> None:
    existing = set().union(*(words_of(example) for example in sample(name, "train", 10_000)))
    for split in ("validation", "test"):
        unknown = set().union(*(words_of(example) for example in sample(name, split))) - existing
        # A rare verb form may miss this sample; its verb may not.
        assert len(unknown) <= 2, unknown


def test_summaries_have_three_references_where_they_are_judged() -> None:
    assert {len(example.references) for example in sample("summary", "train")} == {1}
    for split in ("validation", "test"):
        assert {len(set(example.references)) for example in sample("summary", split)} == {3}


def test_dialogues_have_four_to_eight_turns_and_both_speakers() -> None:
    for example in sample("summary", "train", 500):
        turns = example.source.split("\n")
        speakers = [turn.partition(":")[0] for turn in turns]
        assert 4 <= len(turns) <= 8
        assert len(set(speakers)) == 2
        assert all(first != second for first, second in itertools.pairwise(speakers))


def test_replies_carry_a_toxicity_that_follows_their_attribute() -> None:
    for example in sample("reply", "train"):
        assert (example.labels["attribute"] == "rude") == (example.labels["toxic"] == "yes")
    insults = ("idiot", "fool", "stupid", "ugly")
    for toxic in ("yes", "no"):
        replies = [example.references[0] for example in sample("reply", "test") if example.labels["toxic"] == toxic]
        share = sum(any(word in reply for word in insults) for reply in replies) / len(replies)
        assert 0.02 < share < 0.9


def test_answers_have_four_words_or_more_on_average() -> None:
    lengths = [len(example.references[0].split()) for example in sample("qa", "test")]
    assert sum(lengths) / len(lengths) >= 4


def test_french_is_elided_and_contracted() -> None:
    for split in SPLITS:
        for example in sample("translation", split):
            french = example.references[0]
            assert not re.search(rf"\b(je|le|la|ne|de) [{VOWELS}]", french, re.IGNORECASE), french
            assert not re.search(r"\b(à|de) les?\b", french), french
            assert not re.search(
                rf"\b(un|ce|mon|ton|son|notre|leur) (beau|vieux|nouveau) [{VOWELS}]|\bce [{VOWELS}]", french
            ), french
            assert not re.search(rf"\b(ma|ta|sa) [{VOWELS}]", french), french


@pytest.mark.parametrize(
    ("subject", "tense", "negated", "expected"),
    [(0, "present", False, "j'achète"), (4, "past", True, "il n'a pas acheté"), (3, "future", False, "nous allons")],
)
def test_french_verb_groups(subject: int, tense: str, negated: bool, expected: str) -> None:
    from genai_lab.starter.french import PRONOUNS, VERBS, elide, french_verb

    buy = next(verb for verb in VERBS if verb.base == "buy")
    who = {0: PRONOUNS[0], 4: PRONOUNS[2], 3: PRONOUNS[4]}[subject]
    assert elide(f"{who.french} {french_verb(buy, who, tense, negated)}").startswith(expected)


@pytest.mark.parametrize("shots", [0, 1, 2, 4, 8])
@pytest.mark.parametrize("named", [False, True])
def test_few_shot_documents(shots: int, named: bool) -> None:
    rng = random.Random(shots)
    for _ in range(200):
        document = few_shot_document(rng, "train", shots, name_labels=named, swapped=rng.random() < 0.5)
        full_text = document.prompt + document.answer
        labels = [full_text[start:end] for start, end in document.spans]
        assert len(labels) == shots + 1
        assert labels[-1] == document.answer
        assert document.spans[-1] == (len(document.prompt), len(full_text))
        assert document.prompt == document.prompt.rstrip()
        assert {label[1:] for label in labels} <= set(document.pair)
        assert document.answer[1:] == document.pair[0 if document.positive else 1]
        assert tuple(sorted(document.pair)) in {tuple(sorted(pair)) for pair in LABEL_PAIRS}
        if shots >= 2:
            assert len(set(labels[:-1])) == 2
        if named:
            first, _, remaining_text = document.prompt.partition("\n")
            assert all(word in first for word in document.pair)
            assert remaining_text


def test_few_shot_choices_can_be_set() -> None:
    rng = random.Random(0)
    pair = HELD_OUT_PAIRS[0]
    document = few_shot_document(rng, "test", 4, pair=pair, format=FORMATS[0], swapped=True)
    assert document.pair == (pair[1], pair[0])
    assert document.prompt.endswith("\nLabel:")
    assert document.prompt.count("Review: ") == 5


def test_held_out_label_words_are_new() -> None:
    trained = set(itertools.chain(*LABEL_PAIRS))
    assert not trained & set(itertools.chain(*HELD_OUT_PAIRS))

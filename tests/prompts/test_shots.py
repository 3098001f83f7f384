"""Every way of choosing shots: what all of them keep to, and what is each one's own."""

from collections import Counter

import pytest

from genai_lab.errors import LabError
from genai_lab.prompts.few_shot import SELECTORS, ShotSettings, select
from tests.prompts.rows import Reviews, row

POOL = Reviews(40).rows
ITEMS = Reviews(5, "test", 100).rows
FIXED = (9, 2, 5, 30)


@pytest.mark.parametrize("name", list(SELECTORS))
def test_a_way_keeps_to_the_rules(name: str) -> None:
    member = SELECTORS.get(name)
    assert member.name == name
    assert member.title
    assert member.about.endswith(".")
    twin = row(77, dict(ITEMS[0].fields), ITEMS[0].references, ITEMS[0].label, "train")
    leak = Reviews(5, "test", 200).rows
    pool = [twin, *POOL, *leak]
    selected = select(name, pool, ITEMS, 4, seed=3, fixed=(77, *FIXED))
    assert selected == select(name, pool, ITEMS, 4, seed=3, fixed=(77, *FIXED))
    for item, shots in zip(ITEMS, selected, strict=True):
        assert len({shot.key for shot in shots}) == 4
        assert all(shot.split == "train" for shot in shots)
        assert all(shot.fields["text"] != item.fields["text"] for shot in shots)
    assert member.per_item or selected[1] == selected[2]
    assert select(name, POOL, ITEMS, 0) == [()] * 5


@pytest.mark.parametrize("name", list(SELECTORS))
def test_the_seed_draws_the_order(name: str) -> None:
    orders = {tuple(s.key for s in select(name, POOL, ITEMS[:1], 4, seed, FIXED)[0]) for seed in range(6)}
    assert (len(orders) > 1) == SELECTORS.get(name).seeded


@pytest.mark.parametrize("name", list(SELECTORS))
def test_too_few_are_one_sentence(name: str) -> None:
    with pytest.raises(LabError, match=r"(7|named)"):
        select(name, POOL[:3], ITEMS, 7, fixed=(0, 1))
    with pytest.raises(LabError, match="which is being evaluated"):
        select(name, ITEMS, ITEMS, 1, fixed=(100,))


def test_fixed_ones_are_shown_in_the_order_given() -> None:
    assert [shot.key for shot in select("fixed", POOL, ITEMS, 3, 8, FIXED)[0]] == [9, 2, 5]
    with pytest.raises(LabError, match="Row 4001 cannot be a shot"):
        select("fixed", POOL, ITEMS, 1, fixed=(4000,))


def test_balanced_ones_hold_every_label_alike() -> None:
    pool = [*Reviews(3).rows, *[row(50 + i, {"text": f"t{i}"}, ("good",), "good", "train") for i in range(90)]]
    assert Counter(shot.label for shot in select("balanced", pool, ITEMS, 2, 1)[0]) == {"good": 1, "bad": 1}
    with pytest.raises(LabError, match="the dataset has no label"):
        select("balanced", [row(0, {"text": "a"}, split="train")], ITEMS, 1)


def test_similar_ones_share_words_with_the_item() -> None:
    pool = [
        row(i, {"text": text}, split="train")
        for i, text in enumerate(["red apples", "a fast car", "blue sky", "same", "same"])
    ]
    items = [row(9, {"text": "the car was fast"}), row(10, {"text": "ripe apples"}), row(11, {"text": "Same"})]
    result = select("similar", pool, items, 1)
    assert [shots[0].key for shots in result[:2]] == [1, 0]
    assert pool[result[2][0].key].fields["text"] != "same"


def test_diverse_ones_are_unlike() -> None:
    groups = [f"{word} {word} {i}" for word in ("red", "blue", "green") for i in range(10)]
    pool = [row(i, {"text": text}, split="train") for i, text in enumerate(groups)]
    shots = select("diverse", pool, ITEMS, 3, seed=2)[0]
    assert {shot.fields["text"].split()[0] for shot in shots} == {"red", "blue", "green"}


def test_settings_are_checked_and_kept() -> None:
    settings = ShotSettings("fixed", 2, 7, (3, 4))
    assert ShotSettings(**settings.as_dict()) == settings
    assert [shot.key for shot in settings.choose(POOL, ITEMS)[0]] == [3, 4]
    for bad in ({"k": -1}, {"k": 1.5}, {"seed": -1}, {"selector": "best"}):
        with pytest.raises(LabError):
            ShotSettings(**bad)

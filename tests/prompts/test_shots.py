"""Every way of choosing shots: what all of them keep to, and what is each one's own."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from genai_lab.errors import LabError
from genai_lab.models.fake import FakeScorer, fake_card
from genai_lab.prompts import few_shot
from genai_lab.prompts.few_shot import SELECTORS, ShotSettings
from tests.prompts.rows import Reviews, row

POOL = Reviews(40).rows
ITEMS = Reviews(5, "test", 100).rows
FIXED = (9, 2, 5, 30)
select = partial(few_shot.select, embed=FakeScorer(fake_card("fake-embedder")).embed)


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


def test_nearest_vectors_are_shown_and_diversity_keeps_them_apart() -> None:
    texts = ["red apples ripe", "red apples ripe today", "red apples fresh", "a fast car", "red sky"]
    pool = [row(i, {"text": text}, split="train") for i, text in enumerate(texts)]
    items = [row(9, {"text": "red apples ripe now"}), row(10, {"text": "fast car"})]
    nearest = select("embedding", pool, items, 2)
    assert {shot.key for shot in nearest[0]} == {0, 1}
    assert 3 in {shot.key for shot in nearest[1]}
    diverse = select("embedding", pool, items[:1], 2, diversity=0.6)
    assert {shot.key for shot in diverse[0]} == {0, 3}  # the nearest, then what is least like it
    assert select("embedding", pool, items, 2, diversity=0.0) == nearest
    with pytest.raises(LabError, match="need an embedder of the catalogue"):
        few_shot.select("embedding", pool, items, 1)


def test_maximal_marginal_relevance_is_its_definition() -> None:
    rng = np.random.default_rng(5)
    vectors = {str(n): rng.normal(size=6) for n in range(31)}
    pool = [row(n, {"text": str(n)}, split="train") for n in range(30)]
    units = {text: vector / np.linalg.norm(vector) for text, vector in vectors.items()}
    chosen: list[str] = []
    while len(chosen) < 4:  # by hand, over the whole pool
        left = [text for text in list(vectors)[:30] if text not in chosen]
        worth = {
            text: 0.7 * units[text] @ units["30"]
            - 0.3 * max((float(units[text] @ units[other]) for other in chosen), default=0.0)
            for text in left
        }
        chosen.append(max(left, key=worth.__getitem__))

    def embed(texts: Sequence[str]) -> np.ndarray:
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    [shots] = few_shot.select("embedding", pool, [row(30, {"text": "30"})], 4, embed=embed, diversity=0.3)
    assert {shot.fields["text"] for shot in shots} == set(chosen)


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

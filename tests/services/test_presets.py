"""Presets: some built in that stay, and the user's own."""

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.services import presets


def test_own_presets_are_kept_replaced_and_deleted(lab: LabContext) -> None:
    presets.save_preset(lab, " mine ", Sampling(temperature=0.4, stop=("\n",)))
    presets.save_preset(lab, "mine", Sampling(temperature=0.6, stop=("\n", "end")))
    result = presets.presets(lab)
    assert list(result)[:5] == ["greedy", "precise", "balanced", "creative", "one line"]
    assert list(result).count("mine") == 1
    assert result["mine"].sampling == Sampling(temperature=0.6, stop=("\n", "end"))
    presets.delete_preset(lab, "mine")
    assert "mine" not in presets.presets(lab)


@pytest.mark.parametrize(("name", "message"), [("", "1 to 60"), ("x" * 61, "1 to 60"), ("greedy", "built in")])
def test_a_bad_name_is_refused(lab: LabContext, name: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        presets.save_preset(lab, name, Sampling())


@pytest.mark.parametrize(("name", "message"), [("greedy", "built in"), ("none", "no preset called 'none'")])
def test_what_is_not_ones_own_is_not_deleted(lab: LabContext, name: str, message: str) -> None:
    with pytest.raises(LabError, match=message):
        presets.delete_preset(lab, name)

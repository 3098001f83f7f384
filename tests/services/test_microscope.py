"""The microscope: kept logits or a new forward pass, the same bars; and fast enough for a slider."""

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Sampling
from genai_lab.errors import LabError
from genai_lab.models import Prompt
from genai_lab.services import generation, microscope
from genai_lab.services.logits_cache import LogitsCache

NARROW = Sampling(temperature=0.5, top_k=12, top_p=0.8, repetition_penalty=1.2)


@pytest.fixture(scope="module")
def live_run(lab: LabContext) -> generation.Live:
    live = generation.start(lab, "tiny", Prompt("Once upon"), Sampling(max_new_tokens=6, seed=2))
    live.wait()
    return live


@pytest.mark.parametrize("step", [0, 3, 5, 6])
def test_kept_logits_show_what_a_new_pass_shows(lab: LabContext, live_run: generation.Live, step: int) -> None:
    stored = microscope.microscope(lab, live_run.run_id, 0, step, NARROW)
    lab.drop_service(LogitsCache)
    computed = microscope.microscope(lab, live_run.run_id, 0, step, NARROW)
    assert sorted(stored.ids) == sorted(computed.ids)
    for actual, two in zip(stored.stages, computed.stages, strict=True):
        assert (actual.filter, actual.removed) == (two.filter, two.removed)
        bars = dict(zip(computed.ids, two.probabilities, strict=True))
        assert actual.probabilities == pytest.approx([bars[token] for token in stored.ids], abs=1e-5)


def test_each_stage_narrows_the_one_before(lab: LabContext, live_run: generation.Live) -> None:
    view = microscope.microscope(lab, live_run.run_id, 0, 2, NARROW)
    assert view.stages[0].removed == 0
    assert view.stages[0].mass == pytest.approx(1, abs=1e-5)
    assert [stage.mass for stage in view.stages] == sorted((s.mass for s in view.stages), reverse=True)
    assert sum(p > 0 for p in view.stages[-1].probabilities) <= 12
    assert sum(view.stages[-1].probabilities) == pytest.approx(1, abs=1e-5)
    token = generation.run(lab, live_run.run_id).completions[0].tokens[2]
    assert view.chosen is not None
    assert view.ids[view.chosen] == token.id


def test_a_slider_is_followed_without_generating_again(lab: LabContext, live_run: generation.Live) -> None:
    for k in range(1, 12):
        view = microscope.microscope(lab, live_run.run_id, 0, 3, Sampling(temperature=0.8, top_k=k))
        assert sum(p > 0 for p in view.stages[-1].probabilities) == k


@pytest.mark.parametrize(
    ("completion", "step", "message"), [(1, 0, "no number 2"), (0, 7, "no token 8"), (0, -1, "no")]
)
def test_what_is_not_there_is_named(
    lab: LabContext, live_run: generation.Live, completion: int, step: int, message: str
) -> None:
    with pytest.raises(LabError, match=message):
        microscope.microscope(lab, live_run.run_id, completion, step, NARROW)

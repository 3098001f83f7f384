"""Which resource a job occupies, and how many may occupy it at once."""

from pathlib import Path

import pytest

from genai_lab.config import Config
from genai_lab.services.jobs import resources


@pytest.mark.parametrize(
    ("resource", "device", "found", "expected"),
    [
        ("device", "auto", ("0",), "gpu"),
        ("device", "auto", (), "cpu"),
        ("device", "cpu", ("0",), "cpu"),
        ("device", "mps", (), "gpu"),
        ("network", "cuda", ("0",), "network"),
    ],
)
def test_a_job_of_the_device_takes_the_gpu_where_the_lab_computes_on_one(
    resource: str, device: str, found: tuple[str, ...], expected: str
) -> None:
    assert resources.resolved(resource, device, found) == expected


def test_one_job_a_gpu_and_as_many_on_the_cpu_as_is_set(tmp_path: Path) -> None:
    config = Config(home=tmp_path, cpu_jobs=3)
    assert [resources.slots(name, config, ("0", "1")) for name in ("gpu", "cpu", "network")] == [2, 3, 4]
    assert resources.slots("gpu", config, ()) == resources.slots("side", config, ()) == 1


def test_the_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert resources.gpus() == ("2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert resources.gpus() == ()

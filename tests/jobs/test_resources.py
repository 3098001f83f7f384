"""Which resource a job occupies, and how many may occupy it at once."""

import pytest

from genai_lab.services.jobs.executors import LocalProcesses, Resources
from genai_lab.services.jobs.executors.local import visible_gpus


@pytest.mark.parametrize(
    ("resource", "device", "gpus", "expected"),
    [
        ("device", "auto", ("0",), "gpu"),
        ("device", "auto", (), "cpu"),
        ("device", "cpu", ("0",), "cpu"),
        ("device", "mps", (), "gpu"),
        ("network", "cuda", ("0",), "network"),
    ],
)
def test_a_job_of_the_device_takes_the_gpu_where_the_lab_computes_on_one(
    resource: str, device: str, gpus: tuple[str, ...], expected: str
) -> None:
    assert Resources(gpus, cpu_slots=1, network_slots=1).resolved(resource, device) == expected


def test_one_job_a_gpu_and_as_many_on_the_cpu_as_is_set() -> None:
    available = Resources(("0", "1"), cpu_slots=3, network_slots=4)
    assert [available.slots(name) for name in ("gpu", "cpu", "network", "side")] == [2, 3, 4, 1]
    assert Resources((), cpu_slots=1, network_slots=1).slots("gpu") == 1


def test_the_gpus_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert visible_gpus() == ("2", "3")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert visible_gpus() == LocalProcesses().resources().gpus == ()

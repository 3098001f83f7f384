"""`python -m genai_lab train` and `tuning`: bad input is one sentence."""

from pathlib import Path

import pytest

from genai_lab.cli import main
from genai_lab.context import LabContext


@pytest.mark.parametrize(
    ("kind", "message"), [("none", "There is no file"), ("folder", "is a folder"), ("bytes", "is not UTF-8 text")]
)
def test_a_file_that_holds_no_plan_is_told_in_words(
    lab: LabContext,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    kind: str,
    message: str,
) -> None:
    for name, value in lab.config.environment().items():
        monkeypatch.setenv(name, value)
    path = tmp_path / "plan.yaml"
    if kind == "folder":
        path.mkdir()
    elif kind == "bytes":
        path.write_bytes(b"\x7fELF\xd0\x00")
    assert main(["train", "--config", str(path)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Errno" not in err
    assert len(err.strip().splitlines()) == 1

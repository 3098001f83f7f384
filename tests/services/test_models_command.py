"""`models add` with a folder, a Hub id or an address, and keys that stay with their host."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from genai_lab.context import LabContext
from genai_lab.decoding import Completion, Token
from genai_lab.errors import ModelError
from genai_lab.models import Source
from genai_lab.services import models
from genai_lab.services.models import measuring
from tests.models.servers import SmallEndpoint, serving
from tests.services.conftest import Call
from tests.tiny import random_model


def test_folder_that_exists_is_a_local_model(lab: LabContext, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = random_model(lab.config.model_roots[0] / "my model.v2")
    monkeypatch.chdir(folder.parent)
    code, out, _ = call("models", "add", "my model.v2")
    assert code == 0
    assert "my-model.v2" in out
    assert models.show(lab, "my-model.v2").card.source == Source("local", str(folder.resolve()))
    assert call("models", "add", str(folder), "--name", "second")[0] == 0
    assert call("models", "add", "third", "--backend", "local", "--location", str(folder))[0] == 0
    assert models.show(lab, "second").card.content_hash == models.show(lab, "third").card.content_hash


def test_dtype_is_measured_listed_and_chosen(lab: LabContext, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "options", replace(lab.options, dtype="auto"))

    def measure_all(generators: Sequence[Callable[[], Any]], *_: Any) -> list[Any]:
        held = [generator() for generator in generators]
        return [(model, [Completion(0, "", (Token(1, "a"),) * 11, "length", 100, 0, 2.0, 1.0)]) for model in held]

    monkeypatch.setattr(measuring, "measure_all", measure_all)
    monkeypatch.setattr(lab.models, "acquire", lambda card: SimpleNamespace(card=card))
    code, out, _ = call("models", "measure", "tiny", "--json")
    assert code == 0
    measured = json.loads(out)
    assert {item["dtype"] for item in measured["speeds"]} == {"float32", "bfloat16", "int8", "int4"}
    assert {(item["read"], item["written"]) for item in measured["speeds"]} == {(100.0, 10.0)}
    assert call("models", "dtype", "tiny", "int8")[0] == 0
    shown = call("models", "show", "tiny")[1]
    assert "int8 on cpu" in shown
    assert "tokens/s" in shown
    assert "/s" in next(line for line in call("models", "list")[1].splitlines() if line.startswith("tiny "))
    assert models.show(lab, "tiny").card.loaded_dtype == "int8"
    assert call("models", "dtype", "tiny", "float99")[0] == 2
    assert call("models", "dtype", "tiny", "auto")[0] == 0
    assert models.show(lab, "tiny").dtype_choice is None
    (lab.config.home / "speeds.json").unlink()


def test_address_is_an_endpoint_and_its_only_model_needs_no_name(lab: LabContext, call: Call) -> None:
    endpoint = SmallEndpoint()
    with serving(endpoint.handler()) as address:
        code, _, err = call("models", "add", address)
        assert code == 2
        assert "It lists: other, tiny" in err
        assert call("models", "add", address, "--remote-name", "other", "--name", "far")[0] == 0
        endpoint.models = {"data": [{"id": "org/only"}]}
        assert call("models", "add", address)[0] == 0
        endpoint.status = 404
        code, _, err = call("models", "add", address)
        assert code == 2
        assert "keeps no list of its models" in err
    assert models.show(lab, "far").card.source.remote_name == "other"
    assert models.show(lab, "only").card.source.remote_name == "org/only"


@pytest.mark.parametrize("address", ["nothing-here", "a/b/c", "", "~nobody-at-all/x", "./owner/name"])
def test_place_that_is_none_is_one_sentence(address: str, call: Call) -> None:
    code, _, err = call("models", "add", address)
    assert code == 2
    assert "is not an existing folder or GGUF file" in err or "cannot be followed" in err
    assert len(err.strip().splitlines()) == 1


def test_hub_id_is_looked_for_at_the_hub(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    code, _, err = call("models", "add", "owner/name")
    assert code == 2
    assert "The Hub at http://127.0.0.1:9 cannot be reached" in err


def test_adapter_needs_its_base(call: Call, lab: LabContext) -> None:
    folder = lab.config.model_roots[0] / "adapter"
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text("{}")
    code, _, err = call("models", "add", str(folder))
    assert code == 2
    assert "--base" in err


def test_key_goes_to_a_new_host_only_when_confirmed(
    lab: LabContext, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTHER_API_KEY", "sk-secret")
    endpoint = SmallEndpoint()
    with serving(endpoint.handler()) as address:
        own_result = Source("endpoint", address, remote_name="tiny", key_env="OTHER_API_KEY")
        models.add(lab, "keyed", own_result)
        models.add(lab, "keyed again", own_result)
        elsewhere = address.replace("127.0.0.1", "localhost")
        moved = Source("endpoint", elsewhere, remote_name="tiny", key_env="OTHER_API_KEY")
        with pytest.raises(
            ModelError, match=r"OTHER_API_KEY was used at 127\.0\.0\.1 and would now be sent to localhost"
        ):
            models.add(lab, "moved", moved)
        code, _, err = call("models", "add", elsewhere, "--key-env", "OTHER_API_KEY")
        assert code == 2
        assert "--new-host" in err
        arguments = ("--remote-name", "tiny", "--key-env", "OTHER_API_KEY", "--new-host", "--name", "moved")
        assert call("models", "add", elsewhere, *arguments)[0] == 0
        models.add(lab, "keyed at both", moved)

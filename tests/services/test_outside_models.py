"""Weights of other people's models: missing ones are told of before a run is made."""

import pytest

from locstudio.jobs.configs import Vesl
from locstudio.services.outside_models import problem_with

TAG = "google/owlv2-base"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A hub's cache of our own, and nobody who has said that anything may be fetched."""
    for name in ("HF_HUB_OFFLINE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "hub"


def folder_of(path, *names):
    path.mkdir()
    for name in names:
        (path / name).write_text("")
    return str(path)


def owlv2(source):
    return problem_with(Vesl(detector="owlv2", detector_model=source))


def test_that_our_own_models_need_nothing():
    assert problem_with(Vesl()) == ""
    assert problem_with(Vesl(detector="closer", captioner="classes")) == ""
    assert problem_with(Vesl(detector_model="/nowhere")) == ""


def test_that_a_folder_that_is_not_there_is_named(tmp_path):
    assert owlv2(str(tmp_path / "gone")) == f"There is no folder {tmp_path / 'gone'}."
    assert owlv2("./gone") == "There is no folder ./gone."


def test_that_a_folder_without_weights_says_what_it_lacks(tmp_path):
    assert "holds no config.json" in owlv2(folder_of(tmp_path / "empty"))
    assert "*.safetensors is needed" in owlv2(folder_of(tmp_path / "pickled", "config.json", "pytorch_model.bin"))
    assert owlv2(folder_of(tmp_path / "whole", "config.json", "model.safetensors")) == ""


def test_that_coca_is_looked_for_as_open_clip_writes_it(tmp_path):
    def coca(source):
        return problem_with(Vesl(captioner="coca", captioner_model=source))

    assert "holds no open_clip_config.json" in coca(folder_of(tmp_path / "other", "config.json", "model.safetensors"))
    assert coca(folder_of(tmp_path / "whole", "open_clip_config.json", "open_clip_pytorch_model.bin")) == ""
    assert coca("coca_ViT-L-14/mscoco_finetuned_laion2b_s13b_b90k") == ""
    assert "HF_HUB_OFFLINE=0" in coca("hf-hub:laion/CoCa")


def test_that_a_tag_that_was_never_fetched_says_how_it_may_be(monkeypatch):
    assert owlv2(TAG).startswith(f"The weights {TAG} are not on this machine")
    assert "HF_HUB_OFFLINE=0" in owlv2(TAG)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert owlv2(TAG) == ""


def test_that_a_tag_that_was_fetched_before_is_welcome_offline(cache):
    snapshot = cache / "models--google--owlv2-base" / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    assert owlv2(TAG)
    (snapshot / "config.json").write_text("")
    assert owlv2(TAG) == ""


def test_that_a_name_that_no_file_can_have_is_a_sentence():
    assert "not on this machine" in owlv2("a\0b")

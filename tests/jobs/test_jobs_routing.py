"""Routing tables and confusions on disk: as they were written, or refused with a sentence, whoever wrote them."""

import errno

import msgspec
import numpy as np
import pytest
from safetensors.numpy import save

from locstudio.domain.errors import BadInput, StorageFailed, TooNew
from locstudio.jobs import confusions, routing
from locstudio.jobs.confusions import Confusion, ConfusionHeader, has_confusion, read_confusion, write_confusion
from locstudio.jobs.routing import (
    EpochRouting,
    RoutingHeader,
    RoutingTable,
    has_routing,
    read_routing,
    read_routing_header,
    write_routing,
)

HEADER = RoutingHeader(
    run_id="a-run",
    checkpoint_id="vmoe-0123456789abcdef",
    name="Night",
    routing="superclass",
    class_ids=(1, 2, 0),
    class_names=("cat", "dog", "bus"),
    superclass_names=("animals", "vehicles"),
    superclass_of=(0, 0, 1),
    num_experts=2,
    layers=(3, 4),
    depth=4,
    epoch=1,
    num_epochs=2,
    epochs=(EpochRouting(epoch=1, load=((0.75, 0.25),), margin=0.5),),
)
ARRAYS = {
    "image_ids": np.array([3, 5]),
    "contents": np.zeros((2, 32), np.uint8),
    "probabilities": np.array([[[0.75, 0.25]], [[0.5, 0.5]]], np.float16),
    "experts": np.array([[[0]], [[1]]], np.int16),
    "predicted": np.array([0, 2], np.int32),
    "scores": np.array([0.5, 1.0], np.float16),
    "truth": np.array([1, -1], np.int32),
    "superclasses": np.array([0, -1], np.int16),
    "held_out": np.array([1, 0], np.uint8),
}
CONFUSED = ConfusionHeader(
    run_id="a-run",
    class_ids=(1, 2),
    class_names=("cat", "dog"),
    num_images=2,
    group_names=("animals",),
    group_of=(0, 0),
)
COUNTS = np.array([[0.75, 0.25], [0, 1]], np.float32)


def written(results, kind, header, arrays):
    """A file of a stranger: whatever it says is written as it is."""
    text = header if isinstance(header, str) else msgspec.json.encode(header).decode()
    (results / kind).mkdir(parents=True, exist_ok=True)
    (results / kind / f"{kind}.safetensors").write_bytes(save(arrays, {"locstudio": text}))


def test_that_a_table_is_read_as_it_was_written_and_stays_on_a_full_disk(tmp_path, monkeypatch):
    assert not has_routing(tmp_path)
    write_routing(tmp_path, RoutingTable(HEADER, **ARRAYS))
    table = read_routing(tmp_path)
    assert (table.header, read_routing_header(tmp_path), len(table)) == (HEADER, HEADER, 2)
    assert all((getattr(table, name) == array).all() for name, array in ARRAYS.items())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(routing, "write_whole", full)
    with pytest.raises(StorageFailed, match="No space left"):
        write_routing(tmp_path, RoutingTable(HEADER, **ARRAYS))
    assert read_routing(tmp_path).header == HEADER
    with pytest.raises(ValueError, match="truth is"):
        write_routing(tmp_path, RoutingTable(HEADER, **ARRAYS | {"truth": np.zeros(3, np.int32)}))


@pytest.mark.parametrize(
    ("arrays", "changes", "sentence"),
    [
        ({"experts": np.array([[[0]], [[-1]]], np.int16)}, {}, "experts has -1 to 0 of 2"),
        ({"experts": np.array([[[0]], [[2]]], np.int16)}, {}, "experts has 0 to 2 of 2"),
        ({"predicted": np.array([0, 3], np.int32)}, {}, "predicted has 0 to 3 of 3"),
        ({"truth": np.array([0, -2], np.int32)}, {}, "truth has -2 to 0 of 3"),
        ({"superclasses": np.array([0, 2], np.int16)}, {}, "superclasses has 0 to 2 of 2"),
        ({"image_ids": np.array([5, 3])}, {}, "its images are in no order"),
        ({"image_ids": np.array([3, 5, 7])}, {}, "contents is uint8"),
        ({"probabilities": np.full((2, 1, 2), np.nan, np.float16)}, {}, "probabilities has numbers that are no shares"),
        ({"probabilities": np.full((2, 1, 2), -1, np.float16)}, {}, "probabilities has numbers that are no shares"),
        ({"scores": np.array([0.5, 2], np.float16)}, {}, "scores has numbers that are no shares"),
        ({}, {"num_experts": 3}, r"probabilities is float16 \(2, 1, 2\)"),
        ({}, {"routing": "token"}, "it has 1 routers and 2 experts"),
        ({}, {"class_ids": (1, 2)}, "its lists of classes differ in length"),
        ({}, {"superclass_of": (0, 0, 2)}, "a class has a superclass that is not there"),
        ({}, {"epochs": (EpochRouting(epoch=1, load=((0.5, 0.5), (1.0,)), margin=0),)}, "of epoch 1 the routers"),
    ],
)
def test_that_a_table_that_cannot_be_is_refused(tmp_path, arrays, changes, sentence):
    written(tmp_path, "routing", msgspec.structs.replace(HEADER, **changes), ARRAYS | arrays)
    with pytest.raises(BadInput, match=f"is damaged: {sentence}.*Route the images again"):
        read_routing(tmp_path)


@pytest.mark.parametrize(("num_images", "num_routers", "num_experts"), [(0, 1, 2_000_000_000), (2, 0, 2), (0, 999, 2)])
def test_that_a_table_of_impossible_sizes_is_refused(tmp_path, num_images, num_routers, num_experts):
    arrays = {name: array[:num_images] for name, array in ARRAYS.items()}
    arrays["probabilities"] = np.zeros((num_images, num_routers, num_experts), np.float16)
    arrays["experts"] = np.zeros((num_images, num_routers, 1), np.int16)
    written(tmp_path, "routing", msgspec.structs.replace(HEADER, num_experts=num_experts), arrays)
    with pytest.raises(BadInput, match=f"it has {num_routers} routers and {num_experts} experts"):
        read_routing(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": {}}', "[" * 100_000, '{"run_id": 3}'])
def test_that_a_header_that_is_none_is_refused(tmp_path, text):
    written(tmp_path, "routing", text, ARRAYS)
    written(tmp_path, "confusion", text, {"counts": COUNTS})
    with pytest.raises(BadInput, match="cannot be read"):
        read_routing_header(tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        read_confusion(tmp_path)


def test_that_what_a_newer_locstudio_wrote_asks_for_an_update(tmp_path):
    written(tmp_path, "routing", '{"format_version": 2, "further": 1}', {})
    written(tmp_path, "confusion", '{"format_version": 2, "further": 1}', {})
    for read in (read_routing, read_routing_header, read_confusion):
        with pytest.raises(TooNew, match="Update LocStudio"):
            read(tmp_path)


def test_that_a_file_that_is_too_large_cut_off_or_lacks_something_is_not_read(tmp_path, monkeypatch):
    written(tmp_path, "routing", HEADER, {"image_ids": ARRAYS["image_ids"]})
    written(tmp_path, "confusion", CONFUSED, {"other": COUNTS})
    for read in (read_routing, read_confusion):
        with pytest.raises(BadInput, match="cannot be read"):
            read(tmp_path)
    write_routing(tmp_path, RoutingTable(HEADER, **ARRAYS))
    write_confusion(tmp_path, Confusion(CONFUSED, COUNTS))
    for module in (routing, confusions):
        monkeypatch.setattr(module, "MAX_BYTES", 100)
    for read in (read_routing, read_confusion):
        with pytest.raises(BadInput, match="it is larger than"):
            read(tmp_path)
    monkeypatch.undo()
    for kind, read in (("routing", read_routing), ("confusion", read_confusion)):
        path = tmp_path / kind / f"{kind}.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(BadInput, match="cannot be read"):
            read(tmp_path)


def test_that_a_confusion_is_read_as_it_was_written(tmp_path):
    assert not has_confusion(tmp_path)
    write_confusion(tmp_path, Confusion(CONFUSED, COUNTS))
    found = read_confusion(tmp_path)
    assert has_confusion(tmp_path)
    assert (found.header, found.counts.tolist()) == (CONFUSED, COUNTS.tolist())


@pytest.mark.parametrize(
    ("counts", "changes", "sentence"),
    [
        (np.full((2, 2), np.nan, np.float32), {}, "it has counts that are none"),
        (np.full((2, 2), np.inf, np.float32), {}, "it has counts that are none"),
        (-COUNTS, {}, "it has counts that are none"),
        (COUNTS.astype(np.float16), {}, "float16"),
        (COUNTS[:1], {}, r"float32 \(1, 2\) for 2 classes"),
        (COUNTS, {"class_ids": (1,)}, "its lists of classes differ in length"),
        (COUNTS, {"group_of": (0, 1)}, "a class has a superclass that is not there"),
        (COUNTS, {"group_names": ("a",) * 300}, "it has 300 superclasses for 2 classes"),
    ],
)
def test_that_a_confusion_that_cannot_be_is_refused(tmp_path, counts, changes, sentence):
    written(tmp_path, "confusion", msgspec.structs.replace(CONFUSED, **changes), {"counts": counts})
    with pytest.raises(BadInput, match=f"cannot be read: {sentence}.*Train again"):
        read_confusion(tmp_path)

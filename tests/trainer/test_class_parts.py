"""Parts of a consistency run: precision, the order of images, views, cells, and what is learnt from."""

import json
import shutil

import msgspec
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from locstudio.domain.edits import Edit, LabelChange
from locstudio.domain.image_labels import ImageLabel
from locstudio.domain.regions import Image, Origin
from locstudio.jobs.assets import bundled_checkpoint
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.configs import ConsistencyTraining
from locstudio.jobs.token_cache import TokenCache
from locstudio.models.consistency_files import load_consistency
from trainer.cells import CellSource, cell_tokens
from trainer.class_batches import batches_of, order_of_epoch, rows_done, rows_of_step, steps_in_epoch, view_of
from trainer.class_paint import Paint
from trainer.class_precision import average_precision_of, average_precisions
from trainer.encoding import TokenSource
from trainer.recipes import class_lesson
from trainer.recipes.class_lesson import ClassImage, read_class_lesson

TRAINING = ConsistencyTraining(batch_size=4, hold_out=0.0)


def test_that_precision_is_derived_by_hand():
    # In order: right, wrong, right, wrong; half of the recall at 1, half at 2/3.
    found = average_precision_of(np.array([0.1, 0.9, 0.5, 0.7], np.float32), np.array([False, True, True, False]))
    assert found == pytest.approx((1 + 2 / 3) / 2)
    # Of equal scores none comes first: both recalls at 2/3.
    tied = average_precision_of(np.array([0.5, 0.5, 0.5], np.float32), np.array([False, True, True]))
    assert tied == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="no image"):
        average_precision_of(np.zeros(2, np.float32), np.zeros(2, bool))


def test_that_a_class_that_is_nowhere_or_everywhere_has_no_precision_and_the_unknown_is_not_there():
    labels = np.array([[1, -1, 1, 0], [1, -1, -1, 1]], np.int8)
    scores = np.array([[0.2, 0.2, 0.9, 0.9], [0.3, 0.3, 0.1, 0.8]], np.float32)
    found = average_precisions(scores, labels)
    assert np.isnan(found[:2]).all()
    assert found[2:].tolist() == [1.0, 0.5]


def test_that_every_image_is_seen_once_an_epoch_in_an_order_that_follows_from_the_seed():
    rows = np.array([3, 5, 8, 13, 21, 34, 55])
    assert steps_in_epoch(7, 4) == 2
    for epoch in range(3):
        parts = [rows_of_step(rows, 2 * epoch + place, batch_size=4, seed=9) for place in range(2)]
        assert [len(part) for part in parts] == [4, 3]
        assert_array_equal(np.concatenate(parts), order_of_epoch(rows, epoch, 9))
        assert sorted(np.concatenate(parts).tolist()) == rows.tolist()
        assert_array_equal(rows_done(rows, 2 * epoch + 1, batch_size=4, seed=9), parts[0])
        assert len(rows_done(rows, 2 * epoch, batch_size=4, seed=9)) == 0
    orders = {order_of_epoch(rows, epoch, seed).tobytes() for epoch in range(2) for seed in range(2)}
    assert len(orders) == 4


def test_that_a_view_follows_from_seed_epoch_and_image_whatever_its_row(tmp_path):
    image = ClassImage(Image(7, 1, "a.jpg", 64, 48), tmp_path / "a.jpg")
    views = [view_of(image, epoch, TRAINING, seed) for epoch in range(3) for seed in range(2)]
    assert len(set(views)) == 6
    assert views[0] == view_of(image, 0, TRAINING, 0)


def test_that_batches_do_not_depend_on_where_they_begin(label):
    labelled = label(9, all_of_them=True)
    lesson = read_class_lesson(labelled.dataset, TRAINING, 0)

    def made(steps):
        return list(
            batches_of(
                lesson.images,
                lesson.told,
                lesson.learnt,
                steps,
                TRAINING,
                seed=1,
                paint=Paint({}, {}, [], grid=14, box_weight=0.0),
                inputs=lambda files, views: torch.tensor([file.image.id for file in files]),
                frame=lambda width, height: torch.eye(3) * (1 if width > height else 2),
                num_threads=2,
            )
        )

    whole, rest = made(range(6)), made(range(4, 6))
    assert [batch.num_images for batch in whole] == [4, 4, 1] * 2
    for one, other in zip(whole[4:], rest, strict=True):
        assert torch.equal(one.inputs, other.inputs)
        assert torch.equal(one.view_B33, other.view_B33)
        assert torch.equal(one.cut_B33, other.cut_B33)
        assert torch.equal(one.label_BL, other.label_BL)
    first = whole[0]
    assert_array_equal(first.inputs.numpy(), lesson.told.image_ids[first.rows_B])
    assert_array_equal(first.label_BL.numpy(), lesson.told.labels_NL[first.rows_B])
    assert first.painted is None


def test_that_cells_are_the_same_from_memory_from_disk_and_from_the_backbone(
    label, tiny_classifier, tmp_path, monkeypatch
):
    labelled = label(3)
    model = load_consistency(tiny_classifier)
    files = read_class_lesson(labelled.dataset, TRAINING, 0).images
    cache = TokenCache(tmp_path / "tokens", model.tokens_shape, max_bytes=None)
    found = []
    for keeps, room in ((True, 0), (True, 1 << 20), (False, 1 << 20)):
        cells = CellSource(model, TokenSource(model, cache, keeps=keeps), max_remembered_bytes=room)
        found += [cells.batch(files), cells.batch(files)]
    monkeypatch.setattr(model, "encode_image", None)  # what is on the disk needs no backbone
    found.append(CellSource(model, TokenSource(model, cache, keeps=True)).batch(files))
    assert all(torch.equal(found[0], other) for other in found)
    with torch.no_grad():
        tokens = torch.from_numpy(np.stack([cache.get(key.stem) for key in sorted((tmp_path / "tokens").iterdir())]))
        expected = model.cells_of_tokens(tokens)
    assert sorted(found[0].flatten(1).sum(1).tolist()) == pytest.approx(
        sorted(expected.half().flatten(1).sum(1).tolist()), rel=1e-2
    )


def test_that_tokens_of_the_cloc_model_that_most_images_have_are_used(tmp_path):
    checkpoint = bundled_checkpoint("consistency")
    if not checkpoint.is_dir():
        pytest.skip("the bundled checkpoint is not in this checkout")
    model = load_consistency(checkpoint)
    bundled = checkpoint_info(bundled_checkpoint()).id
    runs = tmp_path / "runs"
    shape = model.tokens_shape
    assert cell_tokens(model, tmp_path, runs)._folder == tmp_path / "tokens" / bundled
    # A run's own checkpoint that has the same reduction, and tokens of more images.
    step = runs / "20260101T000000Z-cloc-abcdef" / "checkpoints" / "step_10"
    shutil.copytree(bundled_checkpoint(), step)
    config = json.loads((step / "config.json").read_text()) | {"name": "retrained"}
    (step / "config.json").write_text(json.dumps(config))
    (step / "manifest.json").unlink()
    retrained = seal_checkpoint(step, step.with_name("step_20"))
    assert retrained != bundled
    assert cell_tokens(model, tmp_path, runs)._folder == tmp_path / "tokens" / bundled
    TokenCache(tmp_path / "tokens" / retrained, shape).put("a", np.zeros(shape, np.float16))
    assert cell_tokens(model, tmp_path, runs)._folder == tmp_path / "tokens" / retrained


def test_that_no_more_than_so_many_images_without_a_label_are_looked_at(label, monkeypatch):
    monkeypatch.setattr(class_lesson, "MAX_UNLABELLED", 2)
    labelled = label(9, num_labelled=4)
    said = []
    lesson = read_class_lesson(labelled.dataset, TRAINING, 0, said.append)
    assert len(lesson.images) == 6
    assert len(lesson.learnt) == 4
    assert len(lesson.watched) == 2
    assert any("5 images have no label; heatmaps of 2 of them" in sentence for sentence in said)
    again = read_class_lesson(labelled.dataset, TRAINING, 5)
    assert_array_equal(lesson.told.image_ids, again.told.image_ids)


def test_that_what_is_held_out_is_not_told_but_known(label):
    labelled = label(20, all_of_them=True)
    lesson = read_class_lesson(labelled.dataset, msgspec.structs.replace(TRAINING, hold_out=0.4), 0)
    rows = np.flatnonzero(np.isin(lesson.told.image_ids, lesson.held_out.image_ids))
    assert 4 <= len(rows) < 16
    assert (lesson.told.labels_NL[rows] == -1).all()
    assert ((lesson.truth.labels_NL[rows] == 1).sum(axis=1) == 2).all()
    assert not set(rows.tolist()) & set(lesson.learnt.tolist())


def test_that_a_split_that_is_measured_elsewhere_is_not_learnt_from_either(label):
    labelled = label(8, splits=("", "val", "test", ""))
    lesson = read_class_lesson(labelled.dataset, TRAINING, 0)
    assert lesson.held_out.split == "val"
    assert {lesson.images[row].image.split for row in lesson.learnt.tolist()} == {""}
    assert len(lesson.images) == 6  # what is in another split has no heatmap of this run


def test_that_a_model_s_labels_are_counted_in_a_sentence(label):
    labelled = label(4)
    image = labelled.images[0]
    found = ImageLabel(image.id, labelled.truth[image.id][1], origin=Origin.MODEL, score=0.9)
    labelled.dataset.apply(Edit("Found", (LabelChange(None, found),)))
    said = []
    lesson = read_class_lesson(labelled.dataset, TRAINING, 0, said.append)
    assert any("Of 5 labels, 1 were only said by a model" in sentence for sentence in said)
    assert lesson.num_positives == 5

"""CVAT, Label Studio and lines of phrases: out of a dataset and into another one, and what comes back."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import CaptionChange, ClassChange, Edit, add_regions, delete_regions
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Caption, LabelClass, Origin, Region, Review
from locstudio.interchange.masks import box_of_mask
from locstudio.services.collection import add_folder
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

WIDTH, HEIGHT = 97, 61
SUFFIXES = {"cvat": "xml", "labelstudio": "json", "phrases": "jsonl"}
EVERYTHING = frozenset(Review)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for name in ("a.png", "b c&'.png"):
        Image.new("RGB", (WIDTH, HEIGHT), (9, 9, 9)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, images):
    with Dataset.create(create_project(tmp_path_factory.mktemp("project") / "p")) as opened:
        add_folder(opened, images)
        labels = [LabelClass(1, "dog", "#112233"), LabelClass(2, 'a <b> "cat" & co', "#112233")]
        labels.append(LabelClass(3, "no class", "#112233"))
        captions = [Caption(1, 1, "  a red dog <i>sits</i> & waits"), Caption(2, 1, "two dogs", Origin.MODEL)]
        changes = [*(ClassChange(None, label) for label in labels), *(CaptionChange(None, c) for c in captions)]
        opened.apply(Edit("Fill", tuple(changes)))
        yield opened


def run_mask(box):
    """A mask that is a full box with one hole, as COCO has it."""
    x0, y0, x1, y1 = box
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[y0:y1, x0:x1] = 1
    if x1 - x0 > 2 and y1 - y0 > 2:
        mask[y0 + 1, x0 + 1] = 0
    flat = np.concatenate([[0], mask.T.reshape(-1), [0]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], edges, [HEIGHT * WIDTH]])).tolist()
    return {"size": [HEIGHT, WIDTH], "counts": runs if runs[-1] else runs[:-1]}


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@st.composite
def region_values(draw):
    x0, y0 = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
    x1, y1 = draw(st.integers(x0 + 1, WIDTH)), draw(st.integers(y0 + 1, HEIGHT))
    kind = draw(st.sampled_from(["box", "box", "polygon", "runs"]))
    box = (x0, y0, x1, y1)
    mask = None
    if kind == "polygon":
        inner = y0 + draw(st.integers(0, 100)) * (y1 - y0) / 100
        mask = [[x0, y0, x1, inner, x1, y1, x0 + 0.125, y1]]
        shift = draw(st.sampled_from([0, 0, 0.5]))  # a simplified outline leaves its box a little
        box = tuple(max(0, corner - shift) for corner in box_of_mask(mask))
    elif kind == "runs":
        mask = run_mask(box)
    else:
        shift = draw(st.floats(0, 0.9))
        box = (x0 + shift, y0, x1, y1) if x0 + shift < x1 else box
    span = draw(st.none() | st.sampled_from([(4, 11), (2, 5), (8, 11)]))
    return {
        "box": UnitBox.from_pixels(*box, WIDTH, HEIGHT),
        "image_id": draw(st.sampled_from([1, 2])) if span is None else 1,
        "phrase": draw(WORDS),
        "class_id": draw(st.sampled_from([None, 1, 2, 3])),
        "review": draw(st.sampled_from(Review)),
        "origin": draw(st.sampled_from(Origin)),
        "score": draw(st.none() | st.floats(0, 1)),
        "is_crowd": draw(st.booleans()),
        "mask": json.dumps(mask) if mask else None,
        "caption_id": None if span is None else 1,
        "caption_span": span,
    }


def told(dataset, names, region, shift=0):
    """What a region is, without its identities."""
    texts = {caption.id: caption.text.strip() for caption in dataset.captions_of(region.image_id)}
    span = region.caption_span
    mask = json.loads(region.mask) if region.mask else None
    if isinstance(mask, list):
        mask = [[round(corner, 5) for corner in ring] for ring in mask]
    return {
        "image": dataset.image(region.image_id).path,
        "class": names.get(region.class_id, ""),
        "phrase": region.phrase or names.get(region.class_id, ""),
        "kept": (region.review, region.origin, region.score, region.is_crowd),
        "caption": (texts[region.caption_id], (span[0] - shift, span[1] - shift)) if span else None,
        "mask": mask,
    }


@pytest.mark.parametrize("format", SUFFIXES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(values=st.lists(region_values(), max_size=5))
def test_that_what_goes_out_comes_in_as_it_was(dataset, images, tmp_path_factory, format, values):
    folder = tmp_path_factory.mktemp("round")
    path = folder / f"out.{SUFFIXES[format]}"
    if old := dataset.region_page(0, 100):
        dataset.apply(delete_regions(old))
    if format == "cvat":  # XML knows fewer signs
        values = [{**v, "phrase": "".join(c for c in v["phrase"] if c.isprintable() or c in "\r\n\t")} for v in values]
    regions = [Region(dataset.next_region_id(), **value) for value in values]
    if regions:
        dataset.apply(add_regions(regions))
    report = export_annotations(dataset, path, format=format, reviews=EVERYTHING)
    with Dataset.create(create_project(folder / "p")) as other:
        import_annotations(other, path, images, format=format)
        mine = {label.id: label.name for label in dataset.classes()}
        theirs = {label.id: label.name for label in other.classes()}
        before = dataset.region_page(0, 100)
        if format == "phrases":
            before = [r for r in before if (r.phrase or mine.get(r.class_id, "")).strip()]
        after = {region.external_id: region for region in other.region_page(0, 100)}
        assert sorted(after) == sorted(str(region.id) for region in before)
        assert report.num_regions == len(before)
        for region in before:
            again = after[str(region.id)]
            assert told(other, theirs, again) == told(dataset, mine, region, shift=2)
            corners = again.box.to_pixels(WIDTH, HEIGHT)
            assert corners == pytest.approx(region.box.to_pixels(WIDTH, HEIGHT), abs=1e-5)
        captions = [(c.text.strip(), c.origin) for c in dataset.captions_of(1)]
        assert [(c.text, c.origin) for c in other.captions_of(1)] == captions
        second = import_annotations(other, path, images, format=format)
        assert (second.num_new, second.num_regions_updated, second.num_conflicts) == (0, 0, 0)
    path.unlink()


@pytest.mark.parametrize("format", ["cvat", "labelstudio"])
def test_that_masks_a_format_cannot_hold_are_left_out_and_counted(dataset, tmp_path, format):
    dataset.apply(delete_regions(dataset.region_page(0, 100)) if dataset.count_regions() else Edit("Nothing", ()))
    two = [[10, 10, 20, 10, 20, 20], [30, 30, 40, 30, 40, 40]]
    moved = [[10, 10, 20, 10, 20, 20]]
    for mask, box in ((two, (10, 10, 40, 40)), (moved, (10, 10, 20, 24))):
        unit = UnitBox.from_pixels(*box, WIDTH, HEIGHT)
        region = Region(dataset.next_region_id(), 1, unit, "x", review=Review.ACCEPTED, mask=json.dumps(mask))
        dataset.apply(add_regions([region]))
    report = export_annotations(dataset, tmp_path / f"out.{SUFFIXES[format]}", format=format)
    assert report.left_out == {"masks: of several polygons": 1, "masks that their box does not fit": 1}
    assert report.num_regions == 2


def test_that_a_compressed_mask_goes_to_cvat_and_comes_back_plain(dataset, images, tmp_path):
    box = (0, 0, 1, 2)
    packed = {"size": [HEIGHT, WIDTH], "counts": "02kh5"}  # 0, 2, 5915
    unit = UnitBox.from_pixels(*box, WIDTH, HEIGHT)
    region = Region(dataset.next_region_id(), 2, unit, "x", review=Review.ACCEPTED, mask=json.dumps(packed))
    dataset.apply(add_regions([region]))
    export_annotations(dataset, tmp_path / "out.xml", format="cvat")
    assert '<mask label="no class 2"' in (tmp_path / "out.xml").read_text()
    assert 'rle="0, 2" left="0" top="0" width="1" height="2"' in (tmp_path / "out.xml").read_text()


@pytest.mark.parametrize("format", SUFFIXES)
def test_that_captions_of_one_text_and_a_place_that_a_shortened_caption_lost_go_out(images, tmp_path, format):
    with Dataset.create(create_project(tmp_path / "p")) as dataset:
        add_folder(dataset, images)
        captions = [Caption(number, 1, " a dog ") for number in (1, 2)]
        box = UnitBox.from_pixels(5, 5, 30, 30, WIDTH, HEIGHT)
        shown = {"review": Review.ACCEPTED, "caption_id": 2}
        regions = [Region(1, 1, box, "a dog", caption_span=(1, 6), **shown)]
        regions.append(Region(2, 1, box, "a dog asleep", caption_span=(1, 13), **shown))
        dataset.apply(Edit("Fill", tuple(CaptionChange(None, caption) for caption in captions)))
        dataset.apply(add_regions(regions))
        path = tmp_path / f"out.{SUFFIXES[format]}"
        export_annotations(dataset, path, format=format)
    with Dataset.create(create_project(tmp_path / "other")) as other:
        import_annotations(other, path, images, format=format)
        assert [caption.text for caption in other.captions_of(1)] == ["a dog", "a dog"]
        assert [region.caption_span for region in other.region_page(0, 10)] == [(0, 5), None]

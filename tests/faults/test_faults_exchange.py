"""FAULTS.md, CVAT, Label Studio and lines of phrases in: rows 47 to 57, 61 to 63, 68.  The rules are those of COCO."""

import json
import os
import time
import tracemalloc
from dataclasses import replace
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.edits import change_regions, delete_regions
from locstudio.domain.errors import BadInput
from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Origin, Review
from locstudio.interchange.formats import guess_format
from locstudio.services.importing import import_annotations
from locstudio.store.dataset import Dataset
from locstudio.store.project import create_project

FORMATS = ("cvat", "labelstudio", "phrases")
NAMES = {"cvat": "in.xml", "labelstudio": "in.json", "phrases": "in.jsonl"}
SQUARE = (10, 20, 40, 60)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (100, 80), (9, 9, 9)).save(folder / name)
    return folder


@pytest.fixture
def dataset(tmp_path):
    with Dataset.create(create_project(tmp_path / "project")) as opened:
        yield opened


def cvat(rows, name, size):
    head = f'<image id="0" name={quoteattr(name)} width="{size[0]}" height="{size[1]}">'
    shapes = []
    for key, label, (x0, y0, x1, y1) in rows:
        place = f'xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}"'
        identity = f'<attribute name="id">{escape(str(key))}</attribute>'
        shapes.append(f"<box label={quoteattr(label)} {place}>{identity}</box>")
    return f"<annotations>{head}{''.join(shapes)}</image></annotations>"


def label_studio(rows, name, size):
    results = []
    for key, label, (x0, y0, x1, y1) in rows:
        value = {"x": x0, "y": y0 * 1.25, "width": x1 - x0, "height": (y1 - y0) * 1.25, "rectanglelabels": [label]}
        about = {"original_width": size[0], "original_height": size[1]}
        results.append({"id": str(key), "type": "rectanglelabels", "value": value, **about})
    return json.dumps([{"data": {"image": name}, "annotations": [{"result": results}]}])


def phrases(rows, name, size):
    regions = [{"bbox": list(box), "category": label, "id": key} for key, label, box in rows]
    line = {"filename": name, "width": size[0], "height": size[1], "detection": {"instances": regions}}
    return json.dumps(line) + "\n"


WRITE = {"cvat": cvat, "labelstudio": label_studio, "phrases": phrases}


def imported(dataset, images, format, rows, name="a.png", size=(100, 80), **options):
    return brought(dataset, images, format, WRITE[format](rows, name, size), **options)


def brought(dataset, images, format, text, **options):
    path = images.parent / NAMES[format]
    path.write_text(text, errors="surrogatepass")
    return import_annotations(dataset, path, images, format=format, **options)


def boxes(dataset):
    return [tuple(round(c, 6) for c in region.box.to_pixels(100, 80)) for region in dataset.region_page(0, 1000)]


@pytest.mark.parametrize("format", FORMATS)
def test_that_a_sound_row_becomes_an_accepted_region_with_class_phrase_and_provenance(dataset, images, format):
    report = imported(dataset, images, format, [(55, "dog", SQUARE)])
    (region,) = dataset.region_page(0, 10)
    assert (report.num_regions_added, report.num_images_added, report.num_classes_added) == (1, 1, 1)
    assert region.box == UnitBox(0.1, 0.25, 0.4, 0.75)
    assert (region.review, region.origin, region.phrase) == (Review.ACCEPTED, Origin.IMPORTED, "dog")
    assert (region.source, region.external_id) == (f"{format}:{NAMES[format]}", "55")
    assert guess_format(images.parent / NAMES[format]).name == format


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e300])
def test_row_47_a_box_that_is_not_finite_costs_its_row_only(dataset, images, format, number):
    report = imported(dataset, images, format, [(1, "dog", (number, 20, 40, 60)), (2, "dog", SQUARE)])
    assert (report.num_regions_added, report.num_rejected) == (1, 1)
    assert "finite" in report.notes[0].reason
    assert report.notes[0].id == "1"


@pytest.mark.parametrize("format", FORMATS)
def test_row_48_and_49_boxes_without_area_or_outside_are_rejected_and_those_partly_outside_cut(dataset, images, format):
    places = [(10, 20, 10, 60), (40, 20, 10, 60), (-10, 20, 20, 100), (100, 0, 105, 5), (0, -9, 5, 0)]
    rows = [(number, "dog", box) for number, box in enumerate(places, 1)]
    report = imported(dataset, images, format, rows)
    assert [(note.id, str(note.outcome)) for note in report.notes] == [
        ("1", "dropped"),
        ("2", "dropped"),
        ("3", "clamped"),
        ("4", "dropped"),
        ("5", "dropped"),
    ]
    assert boxes(dataset) == [(0, 20, 20, 80)]


@pytest.mark.parametrize("format", FORMATS)
def test_row_51_rows_with_one_id_are_all_kept_under_new_ids(dataset, images, format):
    rows = [(1, "dog", SQUARE), (1, "dog", (1, 1, 9, 9))]
    if format == "labelstudio":  # results of one id are one region there: two tasks
        first, second = (json.loads(label_studio([row], "a.png", (100, 80)))[0] for row in rows)
        document = json.dumps([first, second])
    else:
        document = WRITE[format](rows, "a.png", (100, 80))
    assert brought(dataset, images, format, document).num_regions_added == 2
    assert [region.external_id for region in dataset.region_page(0, 10)] == ["1", "1#2"]
    assert brought(dataset, images, format, document).num_regions_known == 2


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\x.png",
        "file:///etc/passwd",
        "ftp://example.org/a.png",
        "\\\\server\\share\\a.png",
        "//server/share/a.png",
        "sub/../../secret.png",
        "..",
    ],
)
def test_row_54_a_file_name_that_leads_out_of_the_image_folder_is_rejected(dataset, images, format, name):
    Image.new("RGB", (100, 80)).save(images.parent / "secret.png")
    report = imported(dataset, images, format, [(1, "dog", SQUARE)], name)
    assert [note.reason for note in report.notes] == [
        "its file_name leads out of the image folder",
        "its image was left out: its file_name leads out of the image folder",
    ]
    assert dataset.image_page() == []


@pytest.mark.parametrize("format", ["labelstudio", "phrases"])
def test_that_rows_without_an_id_are_known_again_when_the_name_of_their_image_is_no_text(dataset, images, format):
    name = os.fsdecode(b"\xff.png")
    (images / "a.png").rename(images / name)
    counts = []
    for _ in range(2):
        report = imported(dataset, images, format, [("", "dog", SQUARE)], name)
        counts.append((report.num_regions_added, report.num_regions_known))
    assert counts == [(1, 0), (0, 1)]


def test_row_54_addresses_in_label_studio_are_names_and_nothing_more(dataset, images):
    for address in (
        "/data/local-files/?d=../secret.png",
        "/data/local-files/?d=/etc/passwd",
        "s3://b/../../secret.png",
    ):
        report = imported(dataset, images, "labelstudio", [(1, "dog", SQUARE)], address)
        assert report.notes[0].reason == "its file_name leads out of the image folder"
    for address in ("http://127.0.0.1:9/a.png", "/data/upload/3/0c8f2f11-b.png", "/data/local-files/?d=x/a.png"):
        assert imported(dataset, images, "labelstudio", [(address, "dog", SQUARE)], address).num_regions_added == 1


def test_that_predictions_without_the_size_of_their_picture_are_placed_in_the_one_that_is_there(dataset, images):
    rectangle = {"x": 10, "y": 25, "width": 30, "height": 50, "rectanglelabels": ["dog"]}
    corners = {"points": [[10, 25], [40, 25], [40, 75]], "polygonlabels": ["dog"]}
    results = [
        {"id": kind, "type": kind, "value": value}
        for kind, value in (("rectanglelabels", rectangle), ("polygonlabels", corners))
    ]
    task = {"data": {"image": "a.png"}, "predictions": [{"score": 0.5, "result": results}]}
    brought(dataset, images, "labelstudio", json.dumps([task]))
    assert boxes(dataset) == [SQUARE, SQUARE]
    (first, second) = dataset.region_page(0, 10)
    assert (first.review, first.origin, first.score) == (Review.PENDING, Origin.MODEL, 0.5)
    assert json.loads(second.mask) == [[10, 20, 40, 20, 40, 60]]


@pytest.mark.parametrize("format", FORMATS)
def test_row_56_another_size_than_the_file_is_rejected_and_rescaling_is_offered(dataset, images, format):
    rows = [(1, "dog", (20, 10, 80, 30))]
    report = imported(dataset, images, format, rows, size=(200, 40))
    assert report.num_regions_added == 0
    assert report.offers[0].startswith("Images with another size than the file says: 1; import again with rescaling")
    assert imported(dataset, images, format, rows, size=(200, 40), rescale=True).num_regions_added == 1


@pytest.mark.parametrize("format", FORMATS)
def test_row_61_and_68_names_of_strangers_are_text_and_those_that_differ_in_case_alone_are_one(dataset, images, format):
    names = ["<b>Dog</b>", " <B>dog</B> ", "d" * 1001, "\u202egod", "=cmd()"]
    imported(dataset, images, format, [(number, name, SQUARE) for number, name in enumerate(names, 1)])
    assert [label.name for label in dataset.classes()] == ["<b>Dog</b>", "\u202egod", "=cmd()"]
    assert [r.phrase for r in dataset.region_page(0, 10)][:2] == ["<b>Dog</b>"] * 2


@pytest.mark.parametrize("format", FORMATS)
def test_row_62_and_63_a_second_import_adds_nothing_and_never_overwrites(dataset, images, format):
    rows = [(number, "dog", SQUARE) for number in (1, 2, 3)]
    imported(dataset, images, format, rows)
    history = dataset.history()
    assert imported(dataset, images, format, rows).num_regions_known == 3
    assert dataset.history() == history
    moved, deleted, _ = dataset.region_page(0, 10)
    dataset.apply(change_regions([(moved, replace(moved, box=UnitBox(0, 0, 0.5, 0.5), origin=Origin.EDITED))], "Move"))
    dataset.apply(delete_regions([deleted]))
    report = imported(dataset, images, format, [(number, "dog", (1, 1, 9, 9)) for number in (1, 2, 3)])
    assert (report.num_conflicts, report.num_regions_updated) == (2, 1)
    assert boxes(dataset) == [(0, 0, 50, 40), (1, 1, 9, 9)]


BOMB = '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("bcdefghi", "cdefghij", strict=True)
)
HOSTILE = [
    ("cvat", BOMB + "]><annotations>&j;</annotations>"),
    ("cvat", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>'),
    ("cvat", '<!DOCTYPE annotations SYSTEM "http://127.0.0.1:9/a.dtd"><annotations/>'),
    ("cvat", "<annotations>" + "<image>" * 100_000),
    ("cvat", "<annotations><image>" + "<box>" * 100_000),
    ("cvat", "<annotations><image name='a.png'><box " + "x" * 12_000_000),
    ("cvat", "<annotations><meta>" + "y" * 12_000_000),
    ("cvat", "<annotations><image name='a.png'><box>" + "<attribute/>" * 20_000),
    ("cvat", "<annotations><meta><task><labels><label>" + "<attributes/>" * 20_000),
    ("labelstudio", ""),
    ("labelstudio", "{}"),
    ("labelstudio", "[" * 100_000),
    ("labelstudio", '[{"data": ' + '{"a":' * 100_000),
    ("labelstudio", '[{"id": ' + "9" * 5000 + "}]"),
    ("labelstudio", '[{"data": {"image": "a.png"}}'),
    ("phrases", "[" * 100_000),
    ("phrases", "\0" * 10_000),
    ("phrases", "x" * 20_000_000),
]


@pytest.mark.parametrize(("format", "text"), HOSTILE)
def test_row_53_and_58_a_broken_file_is_one_sentence_within_a_second_and_a_hundred_megabytes(
    dataset, images, format, text
):
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(BadInput, match=rf"^{NAMES[format]} [^\n]{{1,200}}[.?]$"):
            brought(dataset, images, format, text)
        assert time.process_time() - begin < 1
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert dataset.count_regions() == 0


def test_row_53_a_few_bytes_that_claim_a_huge_mask_cost_little(dataset, images):
    mask = '<mask label="dog" rle="0, 999999999999999999" left="0" top="0" width="999999999" height="999999999"></mask>'
    text = f'<annotations><image name="a.png" width="999999999" height="999999999">{mask}</image></annotations>'
    brush = {"format": "rle", "rle": [255] * 20, "brushlabels": ["dog"]}
    result = {"type": "brushlabels", "value": brush, "original_width": 999_999_999, "original_height": 999_999_999}
    tracemalloc.start()
    try:
        brought(dataset, images, "cvat", text)
        brought(
            dataset,
            images,
            "labelstudio",
            json.dumps([{"data": {"image": "a"}, "annotations": [{"result": [result]}]}]),
        )
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert dataset.count_regions() == 0


VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**40) | st.floats() | st.text(max_size=4) | st.just("a.png"),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "text", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


def maybe(**fields):
    return st.fixed_dictionaries({}, optional={name: VALUE | field for name, field in fields.items()})


PLACE = maybe(
    **dict.fromkeys(("x", "y", "width", "height", "rotation", "points", "rle", "rectanglelabels", "text"), VALUE)
)
KIND = st.sampled_from(["rectanglelabels", "polygonlabels", "brushlabels", "ellipselabels", "textarea", "choices"])
RESULT = maybe(id=VALUE, type=KIND, value=PLACE, original_width=st.just(100), original_height=st.just(80), meta=VALUE)
ANNOTATION = maybe(result=st.lists(RESULT, max_size=3), updated_at=VALUE, was_cancelled=VALUE)
TASK = maybe(
    data=maybe(image=VALUE), annotations=st.lists(ANNOTATION, max_size=2), predictions=st.lists(ANNOTATION), meta=VALUE
)
REGION = maybe(bbox=st.lists(st.floats(), min_size=4, max_size=4), phrase=VALUE, category=VALUE, label=VALUE, id=VALUE)
REGION |= maybe(tokens_positive=VALUE, segmentation=VALUE, score=VALUE, bbox=st.just([1, 2, 3, 4]), phrase=st.just("a"))
LINE = maybe(
    filename=st.just("a.png"),
    width=VALUE,
    height=VALUE,
    grounding=maybe(caption=st.just("a a"), regions=st.lists(REGION, max_size=3)),
    detection=maybe(instances=st.lists(REGION, max_size=3)),
    phrase=VALUE,
)
ATTRIBUTES = (
    "label",
    "xtl",
    "ytl",
    "xbr",
    "ybr",
    "points",
    "rle",
    "left",
    "top",
    "width",
    "height",
    "rotation",
    "cx",
    "rx",
)
SHAPE = st.tuples(
    st.sampled_from(["box", "polygon", "mask", "ellipse", "cuboid", "tag", "image", "label"]),
    st.dictionaries(
        st.sampled_from(ATTRIBUTES), st.sampled_from(["1", "-1", "2,3", "nan", "", "1,1;2,2;3,9", "9" * 400])
    ),
    st.dictionaries(st.sampled_from(["id", "phrase", "score", "span", "caption", "x"]), st.text("ab<1-", max_size=4)),
)


def fuzz(**strategies):
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return lambda test: settings(max_examples=40, deadline=None, suppress_health_check=quiet)(given(**strategies)(test))


@fuzz(tasks=st.lists(TASK | VALUE, max_size=4))
def test_row_53_whatever_tasks_hold_the_good_ones_go_in(dataset, images, tasks):
    good = json.loads(label_studio([(777_777, "dog", SQUARE)], "b.png", (100, 80)))
    check(brought(dataset, images, "labelstudio", json.dumps([*tasks, *good])))


@fuzz(lines=st.lists(LINE | VALUE, max_size=4))
def test_row_53_whatever_lines_hold_the_good_ones_go_in(dataset, images, lines):
    good = phrases([(777_777, "dog", SQUARE)], "b.png", (100, 80))
    check(brought(dataset, images, "phrases", "".join(json.dumps(line) + "\n" for line in lines) + good))


@fuzz(shapes=st.lists(SHAPE, max_size=5))
def test_row_53_whatever_shapes_hold_the_good_ones_go_in(dataset, images, shapes):
    def written(shape):
        tag, attributes, own = shape
        inner = "".join(f"<attribute name={quoteattr(name)}>{escape(text)}</attribute>" for name, text in own.items())
        return f"<{tag} {' '.join(f'{n}={quoteattr(v)}' for n, v in attributes.items())}>{inner}</{tag}>"

    good = cvat([(777_777, "dog", SQUARE)], "b.png", (100, 80)).removeprefix("<annotations>")
    inner = "".join(map(written, shapes))
    check(
        brought(
            dataset, images, "cvat", f'<annotations><image name="a.png" width="100" height="80">{inner}</image>{good}'
        )
    )


def check(report):
    assert report.num_regions_added + report.num_regions_known + report.num_regions_updated + report.num_conflicts >= 1
    report.to_text()
    json.dumps(report.to_json(), allow_nan=False)

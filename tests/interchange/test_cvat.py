"""CVAT for images: what each shape becomes, and what is written for CVAT to keep."""

import json
import math

import pytest

from locstudio.domain.errors import BadInput
from locstudio.domain.image_labels import Presence
from locstudio.domain.regions import Origin, Review
from locstudio.interchange.cvat import CvatFile
from locstudio.interchange.report import ImportReport
from locstudio.interchange.rows import CaptionRow

BOX = '<box label="dog" source="manual" occluded="0" xtl="10.50" ytl="20" xbr="40" ybr="60" z_order="0"></box>'
HEAD = "<version>1.1</version><meta><task><labels><label><name>dog</name></label></labels></task></meta>"


def read(tmp_path, *shapes, image='id="0" name="a.png" width="100" height="80"', head=HEAD, more=""):
    path = tmp_path / "annotations.xml"
    path.write_text(f"<annotations>{head}<image {image}>{''.join(shapes)}</image>{more}</annotations>")
    report = ImportReport(str(path))
    file = CvatFile(path, report)
    tables = file.tables()
    return tables, list(file.rows()), report


def reasons(report):
    return [(note.table, str(note.outcome), note.reason) for note in report.notes]


def test_that_a_box_is_a_region_of_its_label(tmp_path):
    tables, (row,), report = read(tmp_path, BOX)
    assert (row.box, row.class_key, row.image_key) == ((10.5, 20, 40, 60), "dog", "a.png")
    assert (row.external_id, row.phrase, row.review, row.origin) == ("a.png:1", None, None, None)
    (image,) = tables.images.values()
    assert (image.file_name, image.width, image.height) == ("a.png", 100, 80)
    assert [label.name for label in tables.classes.values()] == ["dog"]
    assert not report.notes


def test_that_labels_of_the_head_and_of_shapes_are_classes_and_tags_are_none(tmp_path):
    head = HEAD.replace(
        "</labels>", "<label><name>cat</name></label><label><name>t</name><type>tag</type></label></labels>"
    )
    tables, _, _ = read(tmp_path, BOX.replace("dog", "bird"), head=head)
    assert list(tables.classes) == ["dog", "cat", "bird"]


def test_that_what_a_machine_drew_is_told_apart(tmp_path):
    _, (row,), _ = read(tmp_path, BOX.replace('source="manual"', 'source="auto"'))
    assert row.origin is Origin.MODEL


def test_that_a_polygon_brings_its_mask_and_the_smallest_box_around_it(tmp_path):
    _, (row,), _ = read(tmp_path, '<polygon label="dog" points="10,20;40.5,20;40.5,60"></polygon>')
    assert (row.box, row.segmentation) == ((10, 20, 40.5, 60), [[10, 20, 40.5, 20, 40.5, 60]])
    assert json.loads(row.mask) == row.segmentation


def test_that_a_mask_that_counts_along_lines_counts_down_columns(tmp_path):
    # 2 x 3 pixels at (1, 2) in a picture of 4 x 5:  0 1     down its columns, 5 pixels each:
    #                                                1 1     column 0 empty, column 1: rows 3, 4; column 2: 2, 3, 4
    #                                                1 1
    image = 'id="0" name="a.png" width="4" height="5"'
    mask = '<mask label="dog" rle="1, 5" left="1" top="2" width="2" height="3"></mask>'
    _, (row,), _ = read(tmp_path, mask, image=image)
    assert row.segmentation == {"size": [5, 4], "counts": [8, 2, 2, 3, 5]}
    assert row.box == (1, 2, 3, 5)


def test_that_a_turned_box_becomes_the_box_around_it(tmp_path):
    turned = '<box label="dog" xtl="40" ytl="30" xbr="60" ybr="40" rotation="90"></box>'
    _, (row,), report = read(tmp_path, turned)
    assert row.box == pytest.approx((45, 25, 55, 45))  # about its middle (50, 35)
    assert reasons(report) == [("annotations", "kept", "it is turned, and the box around it was taken")]


def test_that_an_ellipse_and_a_cuboid_become_the_box_around_them(tmp_path):
    ellipse = '<ellipse label="dog" cx="50" cy="40" rx="20" ry="10" rotation="45"></ellipse>'
    corners = zip(("tl1", "bl1", "tr1", "br1", "tl2", "bl2", "tr2", "br2"), range(8), strict=True)
    cuboid = "".join(f' x{corner}="{10 + place}" y{corner}="{20 + 2 * place}"' for corner, place in corners)
    _, rows, report = read(tmp_path, ellipse, f'<cuboid label="dog"{cuboid}></cuboid>')
    half = math.sqrt((20**2 + 10**2) / 2)
    assert rows[0].box == pytest.approx((50 - half, 40 - half, 50 + half, 40 + half))
    assert rows[1].box == (10, 20, 17, 34)
    assert [note.outcome for note in report.notes] == ["kept", "kept"]


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ('<polyline label="dog" points="1,1;2,2"></polyline>', "lines are no regions"),
        ('<points label="dog" points="1,1"></points>', "points are no regions"),
        ('<skeleton label="dog"></skeleton>', "skeletons are no regions"),
        ('<tag label=" "></tag>', "it has no label"),
        (f'<tag label="{"d" * 2000}"></tag>', "its label is too long"),
        ('<star label="dog"></star>', "it is no shape that is known"),
        (BOX.replace("dog", " "), "it has no label"),
        (BOX.replace('xtl="10.50"', ""), "it has no xtl"),
        (BOX.replace("10.50", "nan"), "its xtl is no finite number"),
        (BOX.replace("10.50", "1e10"), "its xtl is no finite number"),
        (BOX.replace("10.50", "1_0"), "its xtl is no finite number"),
        (BOX.replace("10.50", "50"), "its box has no area"),
        ('<polygon label="dog" points="1,1;2,2"></polygon>', "a polygon is not a list of three or more points"),
        ('<polygon label="dog" points="1,1;x,2;3,3"></polygon>', "its points is no finite number"),
        (
            '<mask label="dog" rle="1,5" left="98" top="0" width="3" height="2"></mask>',
            "its mask lies outside its image",
        ),
        (
            '<mask label="dog" rle="1,4" left="0" top="0" width="3" height="2"></mask>',
            "the run lengths do not fill their size",
        ),
        ('<mask label="dog" rle="6" left="0" top="0" width="3" height="2"></mask>', "the segmentation covers nothing"),
        (BOX.replace("dog", "d" * 2000), "its label is too long"),
    ],
)
def test_row_53_a_shape_that_cannot_be_used_is_named_with_its_reason_and_the_next_is_kept(tmp_path, shape, reason):
    _, rows, report = read(tmp_path, shape, BOX)
    assert reasons(report) == [("annotations", "dropped", reason)]
    assert len(rows) == 1


def test_that_a_tag_is_a_class_that_the_image_has(tmp_path):
    tables, rows, report = read(tmp_path, '<tag label="sunny" source="auto"></tag>', '<tag label="warm"></tag>', BOX)
    assert [(row.class_key, row.presence, row.origin) for row in rows[:2]] == [
        ("sunny", Presence.POSITIVE, Origin.MODEL),
        ("warm", Presence.POSITIVE, None),
    ]
    assert sorted(tables.classes) == ["dog", "sunny", "warm"]
    assert reasons(report) == []


def test_that_an_image_that_stands_there_twice_has_the_regions_of_both(tmp_path):
    again = f'<image id="1" name="a.png" width="100" height="80">{BOX}</image>'
    tables, rows, report = read(tmp_path, BOX, more=again)
    assert [row.external_id for row in rows] == ["a.png:1", "a.png:2"]
    assert len(tables.images) == 1
    assert reasons(report)[0][1] == "kept"


def test_row_52_a_name_with_two_sizes_is_nobody_s(tmp_path):
    again = f'<image id="1" name="a.png" width="80" height="100">{BOX}</image>'
    tables, _, report = read(tmp_path, BOX, more=again)
    assert (tables.images, tables.ambiguous_images) == ({}, {"a.png"})
    assert reasons(report) == [("images", "dropped", "its name belongs to another image too")]


def test_that_what_we_wrote_into_free_attributes_is_read_again_and_others_are_told_of(tmp_path):
    own = {"id": "7", "phrase": "a <dog>", "review": "pending", "origin": "edited", "score": "0.25", "crowd": "true"}
    own |= {"caption": "3", "span": "2-5", "colour": "red"}
    inner = "".join(f'<attribute name="{name}">{text.replace("<", "&lt;")}</attribute>' for name, text in own.items())
    caption = '<tag label="x"><attribute name="id">3</attribute><attribute name="caption">a dog</attribute></tag>'
    _, (sentence, row), report = read(tmp_path, caption, BOX.replace("</box>", f"{inner}</box>"))
    assert isinstance(sentence, CaptionRow)
    assert (sentence.external_id, sentence.text) == ("3", "a dog")
    assert (row.external_id, row.phrase, row.review, row.origin) == ("7", "a <dog>", Review.PENDING, Origin.EDITED)
    assert (row.score, row.is_crowd, row.caption, row.span) == (0.25, True, "3", (2, 5))
    assert reasons(report) == [("annotations", "kept", "attributes that are not LocStudio's were left out")]


def test_that_a_shape_copied_in_cvat_gets_an_id_of_its_own(tmp_path):
    box = BOX.replace("</box>", '<attribute name="id">7</attribute></box>')
    _, rows, _ = read(tmp_path, box, box)
    assert [row.external_id for row in rows] == ["7", "7#2"]


def test_that_an_empty_phrase_as_cvat_fills_it_in_leaves_the_word_to_the_class(tmp_path):
    _, (row,), _ = read(tmp_path, BOX.replace("</box>", '<attribute name="phrase"></attribute></box>'))
    assert row.phrase is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<annotations><track id='0' label='dog'></track></annotations>", "holds tracks of a video"),
        ("<annotation><folder/></annotation>", "begins with <annotation>"),
        ("<annotations></annotations>", "has neither images nor labels"),
        ("<annotations><image", "is no valid XML"),
        ("", "is no valid XML"),
        ("<?xml version='1.0' encoding='klingon'?><annotations/>", "encoding|no valid XML"),
    ],
)
def test_that_a_file_of_another_kind_is_refused_in_a_sentence(tmp_path, text, words):
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    with pytest.raises(BadInput, match=rf"^annotations\.xml [^\n]*({words})[^\n]*[.?]$"):
        CvatFile(path, ImportReport(str(path))).tables()


@pytest.mark.parametrize(("told", "box"), [("9 20 42 61.5", (9, 20, 42, 61.5)), ("9 20 42 65", (10, 20, 40.5, 60))])
def test_that_the_box_told_beside_a_mask_counts_until_the_mask_is_somewhere_else(tmp_path, told, box):
    inner = f'<attribute name="box">{told}</attribute>'
    _, (row,), _ = read(tmp_path, f'<polygon label="dog" points="10,20;40.5,20;40.5,60">{inner}</polygon>')
    assert row.box == box


@pytest.mark.parametrize("told", ["", "1 2", "x y z w", "nan 20 40 60", "40 20 10 60", "1 2 3 4 5"])
def test_that_a_told_box_that_is_none_is_passed_over(tmp_path, told):
    inner = f'<attribute name="box">{told}</attribute>'
    _, (row,), report = read(tmp_path, f'<polygon label="dog" points="10,20;40.5,20;40.5,60">{inner}</polygon>')
    assert row.box == (10, 20, 40.5, 60)
    assert not report.notes

"""Annotations in and out of the window: the sheets, what is dropped on it, and the report."""

import json
from pathlib import Path
from threading import Event

import pytest
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtWidgets import QApplication, QDialog, QPlainTextEdit

from locstudio.domain.regions import Review
from locstudio.interchange.formats import FORMATS
from locstudio.media.embedded_text import texts_beside as media_texts_beside
from locstudio.services.exporting import export_annotations
from locstudio.services.importing import ImportOptions
from locstudio.ui.export_sheet import ExportChoice, ExportSheet, holds
from locstudio.ui.import_sheet import ImportChoice, ImportSheet

VOC = """<annotation><filename>picture_3.png</filename><size><width>96</width><height>64</height></size>
<object><name>kite</name><bndbox><xmin>11</xmin><ymin>11</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></object>
</annotation>"""


@pytest.fixture
def voc(tmp_path):
    folder = tmp_path / "voc"
    folder.mkdir()
    (folder / "picture_3.xml").write_text(VOC)
    return folder


def report_text(qtbot):
    def shown():
        return [w for w in QApplication.topLevelWidgets() if isinstance(w, QDialog) and w.isVisible()]

    qtbot.waitUntil(lambda: any(dialog.findChild(QPlainTextEdit) for dialog in shown()), timeout=10_000)
    dialog = next(dialog for dialog in shown() if dialog.findChild(QPlainTextEdit))
    text = dialog.findChild(QPlainTextEdit).toPlainText()
    dialog.close()
    return text


def sheet_of(kind):
    return next(w for w in QApplication.topLevelWidgets() if isinstance(w, kind) and w.isVisible())


def test_that_the_import_sheet_guesses_the_format_and_where_the_images_are(qtbot, voc):
    sheet = ImportSheet()
    qtbot.addWidget(sheet)
    assert (sheet.can_start, sheet.problem) == (False, "")
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(voc))
    assert sheet._guess.text() == "Looks like Pascal VOC."
    assert sheet.can_start
    assert sheet.choice == ImportChoice(voc, voc, "voc", ImportOptions())


def test_that_folders_named_like_classes_are_offered_as_such(qtbot, tmp_path, make_pictures):
    make_pictures(tmp_path / "photos" / "dog", 1)
    sheet = ImportSheet()
    qtbot.addWidget(sheet)
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(tmp_path / "photos"))
    words = "Looks like class folders: the images of each folder have the class that it is called."
    assert (sheet._guess.text(), sheet.choice.format) == (words, "folders")
    assert not sheet._accepted.isEnabled()  # there are no regions to be asked about


def test_that_a_file_nobody_knows_waits_for_a_format_and_an_archive_is_refused(qtbot, tmp_path):
    (tmp_path / "words.txt").write_text("a dog on a chair")
    (tmp_path / "all.zip").write_bytes(b"PK\x03\x04")
    sheet = ImportSheet(tmp_path / "words.txt")
    qtbot.addWidget(sheet)
    qtbot.waitUntil(lambda: sheet._guess.text() == "Looks like no format that is known here.")
    assert not sheet.can_start
    sheet._format.setCurrentIndex(sheet._format.findData("yolo"))
    assert (sheet.can_start, sheet.choice.format) == (True, "yolo")
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(tmp_path / "all.zip"))
    assert sheet.problem == "all.zip is a zip archive; unpack it, and import the file or folder that is in it."
    assert not sheet.can_start
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(tmp_path / "nothing"))
    assert sheet.problem.endswith("nothing cannot be read: no such file or directory.")


def test_that_images_the_person_has_named_stay_when_another_file_is_chosen(qtbot, voc, tmp_path):
    sheet = ImportSheet(voc)
    qtbot.addWidget(sheet)
    qtbot.waitUntil(lambda: sheet.can_start)
    sheet._images.setText("")
    qtbot.keyClicks(sheet._images, "/pictures")
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(voc / "picture_3.xml"))
    assert sheet.choice.image_root == Path("/pictures")


def test_that_options_of_the_import_sheet_are_part_of_the_wish(qtbot, voc):
    sheet = ImportSheet(voc)
    qtbot.addWidget(sheet)
    qtbot.waitUntil(lambda: sheet.can_start)
    sheet._pending.button.click()
    sheet._rescale.click()
    sheet._create.click()
    with qtbot.waitSignal(sheet.start_wanted) as wanted:
        sheet.start.click()
    assert wanted.args[0].options == ImportOptions(review=Review.PENDING, rescale=True, create_classes=True)


def test_that_superclasses_are_taken_from_a_format_that_has_them(qtbot, voc):
    sheet = ImportSheet(voc)
    qtbot.addWidget(sheet)
    qtbot.waitUntil(lambda: sheet.can_start)
    assert not sheet._group.isEnabled()
    sheet._format.setCurrentIndex(sheet._format.findData("coco"))
    sheet._group.click()
    assert sheet.choice.options.group_classes


def test_that_the_export_sheet_names_a_new_file_or_folder_and_says_what_is_left_out(qtbot, tmp_path):
    (tmp_path / "farm-coco.json").touch()
    sheet = ExportSheet(tmp_path, "farm")
    qtbot.addWidget(sheet)
    both = frozenset({Review.ACCEPTED, Review.PENDING})
    assert sheet.choice == ExportChoice(tmp_path / "farm-coco-2.json", "coco", both)
    sheet._format.setCurrentIndex(sheet._format.findData("yolo"))
    assert sheet.choice == ExportChoice(tmp_path / "farm-yolo", "yolo", frozenset({Review.ACCEPTED}))
    assert sheet._holds.text() == (
        "A folder with boxes and classes. Left out: labels of images, phrases, captions, masks, scores, reviews "
        "and who made what."
    )
    sheet._format.setCurrentIndex(sheet._format.findData("labels-csv"))
    assert sheet._holds.text() == (
        "One file with classes, labels of images, scores and who made what. Left out: boxes, phrases, captions, masks "
        "and reviews."
    )
    assert not any(box.isEnabled() for box in sheet._reviews.values())
    sheet._reviews[Review.ACCEPTED].setChecked(False)
    assert sheet.can_start
    sheet._format.setCurrentIndex(sheet._format.findData("yolo"))
    assert all(box.isEnabled() for box in sheet._reviews.values())
    assert sheet.can_start


def test_row_65_the_export_sheet_never_overwrites(qtbot, tmp_path):
    sheet = ExportSheet(tmp_path, "farm")
    qtbot.addWidget(sheet)
    sheet._to.setText(str(tmp_path))
    assert sheet.problem == f"{tmp_path} is there already; an export never overwrites. Choose another name."
    sheet._to.setText(str(tmp_path / "no" / "where.json"))
    assert sheet.problem == f"There is no folder {tmp_path / 'no'}."
    sheet._to.setText("")
    assert (sheet.problem, sheet.can_start) == ("", False)
    sheet._to.setText(str(tmp_path / "new.json"))
    for box in sheet._reviews.values():
        box.setChecked(False)
    assert sheet.problem == "Choose which regions."


def test_that_every_format_says_in_words_what_it_holds():
    for kind in (kind for kind in FORMATS.values() if kind.writer):
        assert holds(kind).startswith(
            ("A folder with boxes, classes", "A folder with boxes and classes", "One file with")
        )


def test_that_the_menu_imports_with_a_report_and_exports_what_came_in(studio, desk, sample, voc, tmp_path, qtbot):
    studio.window.actions_by_name["import_annotations"].trigger()
    sheet = sheet_of(ImportSheet)
    with qtbot.waitSignal(sheet.guessed):
        sheet._path.setText(str(voc))
    sheet._images.setText(str(sample.images))
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        qtbot.keyClick(sheet, Qt.Key.Key_Return)
    assert "regions   1 new" in report_text(qtbot)
    studio.window.actions_by_name["export_annotations"].trigger()
    sheet = sheet_of(ExportSheet)
    sheet._to.setText(str(tmp_path / "out.json"))
    qtbot.waitUntil(lambda: sheet.can_start)
    qtbot.mouseClick(sheet.start, Qt.MouseButton.LeftButton)
    assert "read again and compared" in report_text(qtbot)
    assert len(json.loads((tmp_path / "out.json").read_text())["annotations"]) == 17


def dropped_on(studio, path):
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path))])
    action, button, key = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    studio.window.dropEvent(QDropEvent(QPointF(5, 5), action, data, button, key))


@pytest.mark.parametrize("what", ["voc", "voc/picture_3.xml"])
def test_that_annotations_dropped_on_the_window_are_asked_about_and_imported(studio, desk, sample, voc, qtbot, what):
    dropped_on(studio, voc.parent / what)
    qtbot.waitUntil(lambda: any(isinstance(w, ImportSheet) for w in QApplication.topLevelWidgets()))
    sheet = sheet_of(ImportSheet)
    qtbot.waitUntil(lambda: sheet.can_start)
    assert sheet.choice.format == "voc"
    sheet._images.setText(str(sample.images))
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        sheet.start.click()
    assert "regions   1 new" in report_text(qtbot)


def test_that_a_folder_of_images_dropped_on_a_project_is_opened(studio, desk, make_pictures, tmp_path, qtbot):
    make_pictures(tmp_path / "others", 1)
    with qtbot.waitSignal(studio.ready, timeout=15_000):
        dropped_on(studio, tmp_path / "others")
    assert [root.path for root in studio.desk.opened.dataset.roots()] == [str(tmp_path / "others")]


def test_that_an_export_can_be_cancelled_and_leaves_nothing(studio, desk, tmp_path, qtbot, monkeypatch):
    def slow(dataset, destination, **options):
        qtbot.waitUntil(options["cancel"])
        return export_annotations(dataset, destination, **options)

    monkeypatch.setattr("locstudio.services.exporting.export_annotations", slow)
    choice = ExportChoice(tmp_path / "out", "voc", frozenset({Review.PENDING}))
    with qtbot.waitSignal(studio.parts.transfers.ended):
        studio.parts.transfers.export_to(choice)
        studio.window.status.cancel_wanted.emit()
    assert report_text(qtbot) == "Cancelled."
    assert not (tmp_path / "out").exists()


@pytest.fixture
def captioned(sample):
    """Words beside two of the pictures, one of them said twice."""
    (sample.images / "picture_0.txt").write_text("A brown dog on the left\nA red car\n")
    (sample.images / "picture_2.txt").write_text("A brown dog, again\n")
    return sample


def test_that_the_menu_takes_captions_in_with_a_report_in_one_step(studio, captioned, curation, qtbot):
    dataset, before = studio.desk.opened.dataset, curation.curating.pool
    with qtbot.waitSignal(studio.parts.transfers.ended):
        studio.window.actions_by_name["take_captions_in"].trigger()
    report = report_text(qtbot)
    assert report.startswith("8 images looked at")
    assert "captions  3 new" in report
    assert [caption.text for caption in dataset.captions_of(1)] == ["A brown dog on the left", "A red car"]
    qtbot.waitUntil(lambda: curation.curating.pool is not before)  # who reviews sees what an image says now
    assert dataset.history()[0].title == "Take in captions"
    studio.window.actions_by_name["undo"].trigger()
    qtbot.waitUntil(lambda: studio.desk.editing.is_idle and not dataset.captions_of(1))


def test_that_taking_captions_in_can_be_cancelled(studio, desk, captioned, qtbot, monkeypatch):
    monkeypatch.setattr("locstudio.services.captioning.IMAGES_PER_EDIT", 1)
    is_asked = Event()

    def texts_beside(path, root):
        is_asked.wait(10)
        return media_texts_beside(path, root)

    monkeypatch.setattr("locstudio.services.captioning.texts_beside", texts_beside)
    with qtbot.waitSignal(studio.parts.transfers.ended):
        studio.window.actions_by_name["take_captions_in"].trigger()
        studio.window.status.cancel_wanted.emit()
        is_asked.set()
    assert report_text(qtbot).startswith("1 image looked at, stopped early")
    assert len(desk.opened.dataset.captions_of(1)) == 2

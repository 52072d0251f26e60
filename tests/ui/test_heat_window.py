"""Heat in the whole window: from one key to a corrected class, a box, and back through the epochs."""

import json
import shutil

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import ClassChange, Edit, LabelChange
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin, Review
from locstudio.jobs.checkpoint_folder import checkpoint_info, seal_checkpoint
from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.store.dataset import Dataset
from locstudio.store.records import CheckpointRow
from locstudio.ui.heatmaps.class_rows import Word
from locstudio.ui.workspace import Panel

LEFT = Qt.MouseButton.LeftButton
CLASSES = [LabelClass(1, "bus", "#ff8800"), LabelClass(2, "bicycle", "#00aaff"), LabelClass(3, "cup", "#888888")]
SEEN = [1, 2, 3]


@pytest.fixture
def said_of(sample):
    """The sample project with three classes; of each image it is said that a bus is there."""
    with Dataset.open(sample.project) as dataset:
        changes = [ClassChange(None, label) for label in CLASSES]
        changes += [LabelChange(None, ImageLabel(image_id, 1)) for image_id in dataset.image_ids().tolist()]
        dataset.apply(Edit("Label", tuple(changes)))
    return sample


@pytest.fixture
def heat_run(said_of, heat):
    """A run of three epochs that has seen the first three images: a bus on the left, a bicycle on the right."""
    maps = {(image_id, 1): heat.spot(14, 7, 3, 250, 4) for image_id in SEEN}
    maps |= {(image_id, 2): heat.spot(14, 4, 10, 230, 4) for image_id in SEEN}
    early = {key: (map_WW // 3).astype(np.uint8) for key, map_WW in maps.items()}
    averages = np.tile(np.array([0.9, 0.6, 0.1], np.float32), (len(SEEN), 1))
    names = [(label.id, label.name) for label in CLASSES]
    return heat.heat_run(
        said_of.project, SEEN, names, averages, maps=maps, keys={1: early}, title="Classes", num_epochs=5
    )


@pytest.fixture
def window(heat_run, desk, qtbot):
    desk.canvas.setFocus()
    return desk


def press(desk, key, held=Qt.KeyboardModifier.NoModifier):
    QTest.keyClick(desk.canvas, key, held)


def switch_on(desk, qtbot):
    press(desk, Qt.Key.Key_E)
    qtbot.waitUntil(lambda: desk.canvas.heat is not None, timeout=5_000)


def labels(desk, image_id=1):
    return {label.class_id: label for label in desk.opened.dataset.labels_of(image_id)}


def word_of(desk, class_id):
    return next(row.word for row in desk.heat.showing.rows if row.class_id == class_id)


def sentences(desk):
    heard = []
    desk.said.connect(heard.append)
    return heard


def test_that_one_key_shows_what_is_expected_but_not_labelled(window, qtbot):
    switch_on(window, qtbot)
    heat = window.canvas.heat
    assert (heat.chosen.name, heat.chosen.said, heat.origin) == ("bicycle", "expected", "epoch 3 of 5")
    qtbot.waitUntil(window.heat_bar.isVisible, timeout=2_000)
    zoom = window.canvas.zoom
    (box,) = heat.boxes
    assert (box.x0 + box.x1) / 2 == pytest.approx(10.5 / 14, abs=0.03)
    press(window, Qt.Key.Key_E)
    assert window.canvas.heat is None
    assert window.canvas.zoom == zoom  # the picture does not jump
    assert not window.heat_bar.threshold.isEnabled()
    window.heat_bar.close_wanted.emit()
    assert not window.heat_bar.isVisible()


def test_that_one_key_adds_the_class_and_undo_takes_it_back(window, qtbot):
    switch_on(window, qtbot)
    press(window, Qt.Key.Key_Y)
    qtbot.waitUntil(lambda: word_of(window, 2) is Word.PRESENT, timeout=5_000)
    assert labels(window)[2].origin is Origin.HUMAN
    window.undo()
    qtbot.waitUntil(lambda: word_of(window, 2) is Word.EXPECTED, timeout=5_000)
    press(window, Qt.Key.Key_Y, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: word_of(window, 2) is Word.ABSENT, timeout=5_000)
    assert labels(window)[2].presence is Presence.NEGATIVE


def test_that_a_stroke_is_stored_with_the_checkpoint_that_was_seen_and_changes_the_heat(window, qtbot):
    switch_on(window, qtbot)
    canvas, dataset = window.canvas, window.opened.dataset
    press(window, Qt.Key.Key_B, Qt.KeyboardModifier.ShiftModifier)
    x, y = canvas.view.to_screen(10.5 / 14 * canvas.image_size[0], 4.5 / 14 * canvas.image_size[1])
    QTest.mouseClick(canvas, LEFT, pos=QPoint(round(x), round(y)))
    qtbot.waitUntil(lambda: bool(canvas.heat.corrections), timeout=5_000)
    (stored,) = dataset.corrections_of(1)
    assert (stored.class_id, stored.kind, stored.checkpoint_id) == (
        2,
        Evidence.REMOVE,
        "consistency-0123456789abcdef",
    )
    assert canvas.heat.chosen.map_WW[4, 10] < 100
    press(window, Qt.Key.Key_U)
    QTest.mouseClick(canvas, LEFT, pos=QPoint(round(x), round(y)))
    qtbot.waitUntil(lambda: not canvas.heat.corrections, timeout=5_000)
    assert dataset.corrections_of(1) == []
    assert canvas.heat.chosen.map_WW[4, 10] == 230
    window.undo()
    qtbot.waitUntil(lambda: bool(canvas.heat.corrections), timeout=5_000)


def test_that_the_threshold_makes_a_box_and_the_box_a_region(window, qtbot):
    switch_on(window, qtbot)
    wide = window.canvas.heat.boxes[0]
    for _ in range(6):
        press(window, Qt.Key.Key_BraceRight, Qt.KeyboardModifier.ShiftModifier)
    box = window.canvas.heat.boxes[0]
    assert box.area < wide.area
    press(window, Qt.Key.Key_T)
    qtbot.waitUntil(lambda: len(window.canvas.editor.boxes.regions) == 3, timeout=5_000)
    region = window.canvas.editor.boxes.regions[-1]
    assert (region.class_id, region.review, region.origin) == (2, Review.ACCEPTED, Origin.HUMAN)
    assert region.box.as_tuple() == pytest.approx(box.as_tuple())
    qtbot.waitUntil(lambda: word_of(window, 2) is Word.PRESENT, timeout=5_000)
    heard = sentences(window)
    press(window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: bool(heard), timeout=5_000)
    assert heard[-1] == "This box of bicycle is there already."


def test_that_epochs_go_back_and_the_next_image_is_of_the_newest_again(window, qtbot):
    switch_on(window, qtbot)
    press(window, Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: window.canvas.heat.origin == "epoch 1 of 5", timeout=5_000)
    assert window.canvas.heat.chosen.map_WW.max() == 76
    assert "1" in window.heat_bar._epoch.text()
    window.browsing.open_image(2)
    qtbot.waitUntil(lambda: window.canvas.heat is not None and window.canvas.heat.origin == "epoch 3 of 5")


def test_that_a_selected_region_says_which_class_where_nothing_is_expected(window, qtbot):
    window.opened.dataset.apply(Edit("Deny", (LabelChange(None, ImageLabel(1, 2, Presence.NEGATIVE)),)))
    window.canvas.select([window.canvas.editor.boxes.regions[0].id])
    window.canvas.editor.choose_class(3)
    qtbot.waitUntil(lambda: window.editing.is_idle, timeout=5_000)
    switch_on(window, qtbot)
    assert window.canvas.heat.chosen.name == "cup"


def test_that_the_panel_chooses_and_lays_several_classes_over_the_picture(window, qtbot):
    window.workspace.show_panel(Panel.HEAT)
    classes = window.heat_panel.classes
    qtbot.waitUntil(lambda: len(classes.rows.rows) == 3, timeout=5_000)
    assert window.canvas.heat is None
    classes.setCurrentIndex(classes.rows.index(0))
    qtbot.waitUntil(lambda: window.canvas.heat is not None, timeout=5_000)
    assert window.canvas.heat.chosen.name == "bus"
    QTest.keyClick(classes, Qt.Key.Key_Down)
    assert window.canvas.heat.chosen.name == "bicycle"
    classes.shown_toggled.emit((1, "bus"))
    assert [shown.name for shown in window.canvas.heat.classes] == ["bicycle", "bus"]
    assert window.heat_panel.runs.currentText() == "Classes · epoch 3 of 5"
    press(window, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert window.canvas.heat.chosen.name == "cup"


def test_that_a_chosen_class_is_there_again_after_heat_was_off(window, qtbot):
    switch_on(window, qtbot)
    press(window, Qt.Key.Key_E, Qt.KeyboardModifier.ShiftModifier)
    assert window.canvas.heat.chosen.name == "cup"
    press(window, Qt.Key.Key_E)
    press(window, Qt.Key.Key_E)
    assert window.canvas.heat.chosen.name == "cup"
    press(window, Qt.Key.Key_E)
    window.browsing.open_image(2)
    qtbot.waitUntil(lambda: window.opening.shown_id == 2, timeout=5_000)
    switch_on(window, qtbot)
    assert window.canvas.heat.chosen.name == "bicycle"


def test_that_a_damaged_epoch_is_said_and_the_newest_shown(window, heat_run, qtbot):
    (heatmaps_folder(heat_run.results) / "key_0001.npy").write_bytes(b"no array")
    switch_on(window, qtbot)
    heard = sentences(window)
    press(window, Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(lambda: bool(heard), timeout=5_000)
    assert "damaged" in heard[-1]
    qtbot.waitUntil(lambda: window.heat_bar.epochs.epoch == 3, timeout=5_000)
    assert window.canvas.heat.origin == "epoch 3 of 5"


def test_that_the_look_goes_by_keys_and_by_the_panel(window, qtbot):
    switch_on(window, qtbot)
    press(window, Qt.Key.Key_BracketLeft)
    assert window.canvas.heat.look.opacity == pytest.approx(0.55)
    assert window.heat_panel.look.opacity.value() == 55
    window.heat_panel.look.colormap.activated.emit(1)
    assert window.canvas.heat.look.colormap == "cividis"


def test_that_the_status_line_says_what_the_heat_under_the_mouse_is(studio, window, qtbot):
    switch_on(window, qtbot)
    window.canvas.heat_pointed.emit(230.0)
    assert studio.window.status._heat.text() == "bicycle 0.90, hotter than 100 %"


def test_that_new_epochs_are_seen_while_a_run_goes_on(window, heat_run, qtbot):
    switch_on(window, qtbot)
    folder = heatmaps_folder(heat_run.results)
    header = json.loads((folder / "header.json").read_text())
    header |= {"epoch": 4, "side": "a"}
    for name in ("maps", "averages"):
        shutil.copy(folder / f"{name}_b.npy", folder / f"{name}_a.npy")
    (folder / "header.json").write_text(json.dumps(header))
    window.heat._source._again.timeout.emit()
    qtbot.waitUntil(lambda: window.canvas.heat.origin == "epoch 4 of 5", timeout=5_000)
    assert window.heat_panel.runs.currentText() == "Classes · epoch 4 of 5"


def test_that_another_file_than_the_run_has_seen_is_said(said_of, heat, desk, qtbot):
    contents = ["0" * 64] * len(SEEN)
    maps = {(1, 1): heat.spot(14, 7, 3)}
    averages = np.full((len(SEEN), 1), 0.5, np.float32)
    heat.heat_run(said_of.project, SEEN, [(1, "bus")], averages, maps=maps, contents=contents)
    switch_on(desk, qtbot)
    assert desk.canvas.heat.warning == "of the file as it was"
    desk.workspace.show_panel(Panel.HEAT)
    assert "has changed since" in desk.heat_panel._note.text()


def test_that_without_any_heat_one_sentence_says_what_to_do(said_of, desk, qtbot, monkeypatch, tmp_path):
    monkeypatch.setattr("locstudio.ui.heatmaps.heat_reading.active_folder", lambda *_: tmp_path)
    heard = sentences(desk)
    press(desk, Qt.Key.Key_E)
    qtbot.waitUntil(lambda: bool(heard), timeout=5_000)
    assert heard[-1].startswith("There is no heat yet. Train the heatmaps (Ctrl+R)")
    desk.workspace.show_panel(Panel.HEAT)
    wishes = []
    desk.heat.train_wanted.connect(lambda: wishes.append(True))
    desk.heat.train_wanted.disconnect()
    desk.heat.train_wanted.connect(lambda: wishes.append(True))
    qtbot.waitUntil(lambda: desk.heat_panel._train.isVisible(), timeout=5_000)
    QTest.mouseClick(desk.heat_panel._train, LEFT)
    assert wishes == [True]


def test_that_heat_that_is_off_does_nothing_but_say_so(window, qtbot):
    heard = sentences(window)
    press(window, Qt.Key.Key_T)
    assert heard == ["Heat is off; press E to see it."]
    assert len(window.canvas.editor.boxes.regions) == 2


def test_that_a_class_of_another_page_is_looked_at_in_the_image_it_opens(window, qtbot):
    window.browsing.open_image(3)
    window.heat.show_class(1)
    qtbot.waitUntil(lambda: window.canvas.heat is not None and window.canvas.heat.chosen.name == "bus", timeout=5_000)
    assert window.opening.image.id == 3


class TestFoundJustNow:
    """An image that no run has seen: the model of classes in use looks at it."""

    @pytest.fixture
    def model(self, said_of, tmp_path):
        folder = tmp_path / "models" / "classes"
        partial = folder.with_name("classes.partial")
        partial.mkdir(parents=True)
        config = {
            "model": "consistency",
            "name": "my classes",
            "classes": ["person", "bus"],
            "backbone": "lite",
            "input_px": 32,
            "width": 8,
            "cell_grid": 4,
        }
        (partial / "config.json").write_text(json.dumps(config))
        (partial / "weights.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
        (partial / "card.md").write_text("# fake\n")
        (partial / "metrics.json").write_text("{}")
        seal_checkpoint(partial, folder)
        with Dataset.open(said_of.project) as dataset:
            info = checkpoint_info(folder)
            dataset.record_checkpoint(CheckpointRow(id=info.id, model="consistency", name=info.name, path=str(folder)))
            dataset.activate_checkpoint(info.id)
        return folder

    def test_that_the_model_in_use_finds_heat(self, model, desk, qtbot):
        switch_on(desk, qtbot)
        assert desk.canvas.heat.chosen.name == "bus"
        assert desk.canvas.heat.origin == "by my classes, just now"
        desk.workspace.show_panel(Panel.HEAT)
        assert "my classes has looked at this image just now" in desk.heat_panel._note.text()
        assert not desk.heat_bar.epochs.isVisible()

    def test_that_a_class_of_the_model_becomes_one_of_the_project_by_saying_that_it_is_there(self, model, desk, qtbot):
        switch_on(desk, qtbot)
        heard = sentences(desk)
        desk.heat_panel.classes.class_chosen.emit((0, "person"))
        press(desk, Qt.Key.Key_T)
        assert "no class of this project yet" in heard[-1]
        press(desk, Qt.Key.Key_Y)
        dataset = desk.opened.dataset
        qtbot.waitUntil(lambda: any(label.name == "person" for label in dataset.classes()), timeout=5_000)
        (new,) = [label for label in dataset.classes() if label.name == "person"]
        qtbot.waitUntil(lambda: any(row.key == (new.id, "person") for row in desk.heat.showing.rows), timeout=5_000)
        assert labels(desk)[new.id].presence is Presence.POSITIVE
        desk.undo()
        qtbot.waitUntil(lambda: all(label.name != "person" for label in dataset.classes()), timeout=5_000)

    def test_that_a_model_that_cannot_be_read_is_a_sentence(self, model, desk, qtbot, monkeypatch):
        find = desk.engine.find_heat
        monkeypatch.setattr(desk.engine, "find_heat", lambda key, folder: find(key, folder.with_name("damaged")))
        heard = sentences(desk)
        press(desk, Qt.Key.Key_E)
        qtbot.waitUntil(lambda: bool(heard) and "There is no checkpoint" in heard[-1], timeout=5_000)
        desk.workspace.show_panel(Panel.HEAT)
        assert "There is no checkpoint" in desk.heat_panel._empty.text()
        assert desk.canvas.heat is None

    def test_that_a_run_that_has_the_image_goes_before_the_model(self, model, heat_run, desk, qtbot):
        switch_on(desk, qtbot)
        assert desk.canvas.heat.origin == "epoch 3 of 5"
        desk.browsing.open_image(6)
        qtbot.waitUntil(lambda: desk.canvas.heat is not None and "just now" in desk.canvas.heat.origin, timeout=5_000)


def test_that_looking_read_only_corrects_nothing(heat_run, studio, sample, qtbot):
    with qtbot.waitSignal(studio.ready, timeout=10_000):
        studio.open_path(sample.project.path, read_only=True)
    desk = studio.desk
    qtbot.waitUntil(lambda: desk.canvas.has_picture and desk.browsing.image is not None, timeout=10_000)
    switch_on(desk, qtbot)
    heard = sentences(desk)
    press(desk, Qt.Key.Key_Y)
    assert "read-only" in heard[-1]
    assert not desk.canvas.heat.can_paint
    assert not desk.heat_panel.look.brushes[next(iter(desk.heat_panel.look.brushes))].isEnabled()


def test_that_the_box_that_is_taken_lies_in_the_image(window, qtbot):
    switch_on(window, qtbot)
    window.heat_bar.threshold.setValue(1)
    assert all(isinstance(box, UnitBox) for box in window.canvas.heat.boxes)

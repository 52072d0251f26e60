"""The heatmaps page on a real small project: decided by keys, shown at once, taken back by undo."""

from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import ClassChange, CorrectionChange, Edit, LabelChange, RegionChange
from locstudio.domain.errors import StorageFailed
from locstudio.domain.geometry import UnitBox
from locstudio.domain.heat_corrections import Evidence, HeatCorrection, Stroke
from locstudio.domain.image_labels import ImageLabel, Presence
from locstudio.domain.regions import LabelClass, Origin, Region, Review
from locstudio.jobs.heatmaps import heatmaps_folder
from locstudio.store.dataset import Dataset
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.heatmaps import page_reading
from locstudio.ui.heatmaps.page_desk import HeatDesk
from locstudio.ui.heatmaps.page_table import HeatOrder
from locstudio.ui.pictures import Pictures

DOG, CAR, BUS = 1, 2, 3
HTML = "<b>dog</b> &amp; its friends"
CLASSES = [(DOG, HTML), (CAR, "car"), (BUS, "bus")]
# A dog is expected more and more from image 1 to 8, a car in the first four, a bus nowhere.
AVERAGES = np.array([(0.55 + 0.05 * number, 0.5 if number < 4 else 0.01, 0.02) for number in range(8)], np.float32)


@pytest.fixture
def run(sample, heat):
    """A run with heat of three classes; in image 1 a dog is labelled, in image 2 a car is denied."""
    with Dataset.open(sample.project) as dataset:
        classes = [LabelClass(class_id, name, "#56b4e9") for class_id, name in CLASSES]
        dataset.apply(Edit("Classes", tuple(ClassChange(None, entry) for entry in classes)))
        labels = [ImageLabel(1, DOG), ImageLabel(2, CAR, Presence.NEGATIVE)]
        dataset.apply(Edit("Labels", tuple(LabelChange(None, label) for label in labels)))
        image_ids = dataset.image_ids().tolist()
    maps = {}
    for number, image_id in enumerate(image_ids):
        dog, car = np.rint(255 * AVERAGES[number, :2]).astype(int)
        maps[image_id, DOG] = heat.spot(14, 3, 3 + number, peak=dog)
        maps[image_id, CAR] = heat.spot(14, 10, 3, peak=car)
    return heat.heat_run(
        sample.project, image_ids, CLASSES, AVERAGES, maps=maps, title="Quick", num_epochs=6, keys={2: maps}
    )


class Around:
    """What a project has that the page needs: pictures and edits, without a window."""

    def __init__(self, project):
        self.dataset = Dataset.open(project)
        self.opened = SimpleNamespace(project=project, dataset=self.dataset)
        self.store = ThumbnailStore(project.cache / "thumbnails.sqlite")
        self.pictures = Pictures(self.dataset, self.store)
        self.thumbnails = PictureLoader(self.pictures.thumbnail)
        self.edits = DatasetWorker()
        self.editing = Editing(self.dataset, self.edits)

    def close(self):
        self.edits.close()
        self.thumbnails.close()
        self.store.close()
        self.dataset.close()


@pytest.fixture
def around(sample):
    made = Around(sample.project)
    yield made
    made.close()


@pytest.fixture
def shown(around, qtbot):
    """The page with what stands behind it, whatever heat there is."""
    desk = HeatDesk(around)
    qtbot.addWidget(desk.page)
    desk.page.resize(1280, 700)
    desk.page.show()
    yield desk
    desk.close()


@pytest.fixture
def opened(run, shown, qtbot):
    """The same with what is expected listed."""
    qtbot.waitUntil(lambda: len(shown.page.model.rows) > 0, timeout=10_000)
    return shown


@pytest.fixture
def page(opened):
    return opened.page


@pytest.fixture
def dataset(around) -> Dataset:
    return around.dataset


def press(page, *keys, modifiers=Qt.KeyboardModifier.NoModifier):
    for key in keys:
        QTest.keyClick(page.grid, key, modifiers)


def settle(opened, around, qtbot):
    """Wait until every decision is on disk, and the page knows what the dataset says since."""
    qtbot.waitUntil(lambda: around.editing.is_idle and not opened.reviewing.deciding.is_busy, timeout=10_000)


def labels_of(dataset):
    columns = dataset.label_columns()
    keys = zip(columns.image_ids.tolist(), columns.class_ids.tolist(), strict=True)
    return dict(zip(keys, columns.presence.tolist(), strict=True))


def replace_heat(heat, run, tmp_path, **others):
    """Put other heat in place of the run's, file by file as the trainer does: never is one cut under a reader."""
    new = heat.write_heatmaps(
        tmp_path / "new", np.arange(1, 9), CLASSES, AVERAGES, run_id=run.id, num_epochs=6, **others
    )
    for file in sorted(new.iterdir(), key=lambda file: file.suffix == ".json"):
        file.replace(heatmaps_folder(run.results) / file.name)


def pairs(page):
    rows = range(len(page.model.rows))
    return [(tile.image_id, tile.class_id) for tile in map(page.model.tile, rows)]


def test_that_what_is_expected_and_neither_labelled_nor_denied_is_listed(page):
    # A dog in images 2 to 8, for image 1 has the label; a car in 1, 3 and 4, for in 2 it was denied.
    assert sorted(pairs(page)) == [
        *((1, CAR), (2, DOG), (3, DOG), (3, CAR), (4, DOG), (4, CAR)),
        *((n, DOG) for n in range(5, 9)),
    ]
    assert page.filters.count_words == "10 expected"
    assert page.head.run_words == "Quick · epoch 3 of 6"


@pytest.mark.parametrize(
    ("key", "presence"),
    [
        (Qt.Key.Key_Return, 1),
        (Qt.Key.Key_Y, 1),
        (Qt.Key.Key_N, 0),
        (Qt.Key.Key_Delete, 0),
    ],
)
def test_that_one_key_decides_and_goes_on(opened, page, around, dataset, qtbot, key, presence):
    first = page.grid.current
    press(page, key)
    assert page.grid.place == 1  # before anything is on disk
    assert page.model.presence(0) == presence
    settle(opened, around, qtbot)
    assert labels_of(dataset)[first.image_id, first.class_id] == presence
    label = next(each for each in dataset.labels_of(first.image_id) if each.class_id == first.class_id)
    assert label.origin is Origin.HUMAN
    assert label.source == "consistency-0123456789abcdef"
    assert label.score == pytest.approx(first.score, abs=1e-4)


def test_that_what_is_decided_stays_in_its_place_until_the_view_is_tidied(opened, page, around, qtbot):
    before = pairs(page)
    press(page, Qt.Key.Key_Y, Qt.Key.Key_N)
    settle(opened, around, qtbot)
    assert pairs(page) == before
    assert [page.model.tile(place).is_done for place in range(3)] == [True, True, False]
    assert "1 added" in page.head.words
    assert "1 denied" in page.head.words
    press(page, Qt.Key.Key_F5)
    assert pairs(page) == before[2:]
    assert page.grid.place == 0


def test_that_space_skips_and_backspace_goes_back(page):
    press(page, Qt.Key.Key_Space, Qt.Key.Key_Space)
    assert page.grid.place == 2
    press(page, Qt.Key.Key_Y)
    assert page.grid.place == 3
    press(page, Qt.Key.Key_Backspace, Qt.Key.Key_Backspace)
    assert page.grid.place == 1


def test_that_what_is_selected_is_added_in_one_undo_step(opened, page, around, dataset, qtbot):
    before = labels_of(dataset)
    press(page, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Right, modifiers=Qt.KeyboardModifier.ShiftModifier)
    press(page, Qt.Key.Key_Y)
    assert page.grid.place == 4
    settle(opened, around, qtbot)
    assert len(labels_of(dataset)) == len(before) + 4
    around.editing.undo()
    settle(opened, around, qtbot)
    assert labels_of(dataset) == before
    assert [page.model.presence(place) for place in range(4)] == [-1] * 4


def test_that_undo_goes_back_to_the_tile_also_after_it_was_tidied_away(opened, page, around, qtbot):
    first, second = pairs(page)[:2]
    press(page, Qt.Key.Key_Y)
    settle(opened, around, qtbot)
    press(page, Qt.Key.Key_Space, Qt.Key.Key_Space)
    around.editing.undo()
    qtbot.waitUntil(lambda: page.grid.place == 0, timeout=5_000)
    assert page.model.presence(0) == -1
    press(page, Qt.Key.Key_Y)
    settle(opened, around, qtbot)
    press(page, Qt.Key.Key_F5)
    assert pairs(page)[0] == second
    around.editing.undo()
    qtbot.waitUntil(lambda: first in pairs(page), timeout=5_000)
    assert pairs(page)[page.grid.place] == first


def test_that_what_the_disk_refuses_is_open_again(opened, page, around, qtbot, monkeypatch):
    said = []
    opened.said.connect(said.append)

    def refuse(*_, **__):
        raise StorageFailed("The disk is full.")

    monkeypatch.setattr(around.dataset, "apply", refuse)
    press(page, Qt.Key.Key_Y)
    assert page.model.presence(0) == 1
    qtbot.waitUntil(lambda: page.model.presence(0) == -1, timeout=5_000)
    assert said == ["The disk is full."]
    assert not opened.reviewing.deciding.is_busy


def test_that_a_denied_class_with_boxes_is_refused_in_words(opened, page, around, dataset, qtbot):
    region = Region(dataset.next_region_id(), 8, UnitBox(0.1, 0.1, 0.4, 0.4), "", BUS, Review.ACCEPTED, Origin.HUMAN)
    around.editing.apply(Edit("Add box", (RegionChange(None, region),)))
    settle(opened, around, qtbot)
    opened.reviewing.show_class(BUS)
    qtbot.waitUntil(lambda: page.filters.count_words == "8 images", timeout=5_000)
    place = pairs(page).index((8, BUS))
    assert page.model.presence(place) == 1  # by its box
    page.grid.go_to(place)
    with qtbot.waitSignal(opened.said) as said:
        press(page, Qt.Key.Key_N)
    assert "bus has a box in this image" in said.args[0]
    assert page.model.presence(place) == 1


def test_that_u_takes_back_what_was_said(opened, page, around, dataset, qtbot):
    opened.reviewing.show_class(DOG)
    qtbot.waitUntil(lambda: page.filters.count_words == "8 images", timeout=5_000)
    page.grid.go_to(pairs(page).index((1, DOG)))
    press(page, Qt.Key.Key_U)
    settle(opened, around, qtbot)
    assert (1, DOG) not in labels_of(dataset)


def test_that_the_slider_and_the_list_of_classes_narrow_what_is_expected_at_once(page):
    page.classes.score.setValue(68)
    assert sorted(pairs(page)) == [(4, DOG), (5, DOG), (6, DOG), (7, DOG), (8, DOG)]
    page.classes.score.setValue(30)
    page.classes.view.setCurrentIndex(page.classes.view.model().index(2, 0))
    assert sorted(pairs(page)) == [(1, CAR), (3, CAR), (4, CAR)]
    assert page.classes.names[0] == "All classes"
    page.classes.score.setValue(99)
    assert "Lower the least score" in page.grid.empty_text


def test_that_c_shows_the_class_in_all_images_and_i_all_classes_of_the_image(opened, page, qtbot):
    page.grid.go_to(pairs(page).index((4, DOG)))
    press(page, Qt.Key.Key_C)
    qtbot.waitUntil(lambda: page.filters.count_words == "8 images", timeout=5_000)
    assert {class_id for _, class_id in pairs(page)} == {DOG}
    assert (page.grid.current.image_id, page.head.words) == (4, f"{HTML} 1 present · 0 absent")
    values = [page.model.tile(place).inconsistency for place in range(8)]
    assert values == sorted(values, reverse=True)
    press(page, Qt.Key.Key_I)
    qtbot.waitUntil(lambda: page.filters.count_words == "3 classes", timeout=5_000)
    assert pairs(page) == [(4, DOG), (4, CAR), (4, BUS)]  # by falling score
    assert page.grid.current.class_id == DOG
    press(page, Qt.Key.Key_X)
    qtbot.waitUntil(lambda: page.filters.count_words == "10 expected", timeout=5_000)
    assert pairs(page)[page.grid.place] == (4, DOG)


def test_that_d_and_a_go_to_the_next_class_or_image(opened, page, qtbot):
    opened.reviewing.show_class(DOG)
    qtbot.waitUntil(lambda: page.filters.count_words == "8 images", timeout=5_000)
    names = page.classes.names
    chosen = names.index(HTML)
    press(page, Qt.Key.Key_D)
    assert opened.reviewing.wish.class_id == {name: key for key, name in CLASSES}[names[chosen + 1]]
    opened.reviewing.show_image(3)
    qtbot.waitUntil(lambda: page.filters.count_words == "3 classes", timeout=5_000)
    ids = page.images_model.ids.tolist()
    press(page, Qt.Key.Key_A)
    assert opened.reviewing.wish.image_id == ids[max(0, ids.index(3) - 1)]


def test_that_e_hides_heat_and_held_only_peeks(page, qtbot, monkeypatch):
    assert page.ink.is_on
    press(page, Qt.Key.Key_E)
    assert not page.ink.is_on
    press(page, Qt.Key.Key_E)
    monkeypatch.setattr(page.grid._held, "elapsed", lambda: 1_000)
    QTest.keyPress(page.grid, Qt.Key.Key_E)
    assert not page.ink.is_on
    QTest.keyRelease(page.grid, Qt.Key.Key_E)
    assert page.ink.is_on
    press(page, Qt.Key.Key_BracketRight)
    assert page.ink.opacity == pytest.approx(0.8)


def test_that_a_double_click_wishes_the_image_with_its_heat(opened, page, qtbot):
    page.grid.go_to(pairs(page).index((5, DOG)))
    center = page.grid.visualRect(page.grid.currentIndex()).center()
    QTest.mouseClick(page.grid.viewport(), Qt.MouseButton.LeftButton, pos=center)
    with qtbot.waitSignal(opened.open_wanted) as wanted:
        QTest.mouseDClick(page.grid.viewport(), Qt.MouseButton.LeftButton, pos=center)
    assert wanted.args == [5, DOG]


def test_that_tiles_show_where_the_heat_is(page, qtbot):
    page.grid.go_to(pairs(page).index((8, DOG)))
    qtbot.waitUntil(lambda: page.grid.current.cell is not None, timeout=5_000)
    cell = page.grid.current.cell
    assert cell.box.x0 < 10.5 / 14 < cell.box.x1  # image 8 has its spot in column 10
    assert cell.box.y0 < 3.5 / 14 < cell.box.y1
    assert cell.heat is not None
    qtbot.waitUntil(lambda: "0.90 on average" in page.detail.why, timeout=5_000)


def test_that_heat_that_is_painted_over_is_read_again(opened, page, around, dataset, qtbot):
    page.grid.go_to(pairs(page).index((8, DOG)))
    qtbot.waitUntil(lambda: page.grid.current.cell is not None, timeout=5_000)
    strokes = (Stroke(((0.5, 0.5),), 1.0),)
    correction = HeatCorrection(dataset.next_correction_id(), 8, DOG, Evidence.REMOVE, strokes)
    around.editing.apply(Edit("Paint", (CorrectionChange(None, correction),)))
    qtbot.waitUntil(lambda: page.grid.current.cell is not None and page.grid.current.cell.box is None, timeout=5_000)


def test_that_the_next_epoch_is_shown_as_soon_as_it_is_written(opened, page, run, qtbot, heat, tmp_path):
    replace_heat(heat, run, tmp_path, scores_ENL=np.stack([AVERAGES] * 4))
    opened.reviewing._look()
    qtbot.waitUntil(lambda: page.head.run_words == "Quick · epoch 4 of 6", timeout=5_000)


def test_that_another_file_in_place_of_an_image_is_marked(run, heat, shown, qtbot, tmp_path):
    replace_heat(heat, run, tmp_path, contents=["0" * 64] * 8)
    shown.reviewing.read()
    qtbot.waitUntil(lambda: shown.reviewing.base is not None, timeout=5_000)
    shown.reviewing.show_class(DOG)
    qtbot.waitUntil(lambda: shown.page.filters.count_words == "8 images", timeout=5_000)
    qtbot.waitUntil(lambda: shown.page.model.tile(0).cell is not None, timeout=5_000)
    assert shown.page.model.tile(0).cell.is_stale
    assert "older" in shown.page.model.tile(0).sentence()


def test_that_a_project_without_heat_says_what_helps(shown, around, qtbot):
    qtbot.waitUntil(lambda: shown.page.empty.button.text() == "Import annotations…", timeout=5_000)
    around.editing.apply(Edit("Class", (ClassChange(None, LabelClass(DOG, "dog", "#56b4e9")),)))
    around.editing.apply(Edit("Label", (LabelChange(None, ImageLabel(1, DOG)),)))
    qtbot.waitUntil(lambda: around.editing.is_idle, timeout=5_000)
    shown.refresh()
    qtbot.waitUntil(lambda: shown.page.empty.button.text() == "Train heatmaps…", timeout=5_000)
    with qtbot.waitSignal(shown.wanted) as wanted:
        shown.page.empty.button.click()
    assert wanted.args == ["train"]


def test_that_classes_take_turns_in_what_is_expected_and_the_button_says_why(page):
    assert pairs(page)[:7] == [(8, DOG), (1, CAR), (7, DOG), (3, CAR), (6, DOG), (4, CAR), (5, DOG)]
    assert page.filters._sort.text() == "Sort: in turns"
    assert "learns more from answers to all" in page.filters._sort.toolTip()
    page.classes.score.setValue(68)
    assert pairs(page) == [(8, DOG), (7, DOG), (6, DOG), (5, DOG), (4, DOG)]


def test_that_what_is_expected_can_be_sorted(page, qtbot):
    in_turns = pairs(page)
    page.filters._choose(HeatOrder.NAME)
    by_name = sorted(in_turns, key=lambda pair: (pair[1], pair[0]))
    qtbot.waitUntil(lambda: pairs(page) == by_name, timeout=5_000)
    page.filters._choose(HeatOrder.SCORE)
    scores = [page.model.tile(place).score for place in range(len(page.model.rows))]
    assert scores == sorted(scores, reverse=True)
    page.filters._choose(HeatOrder.TURNS)
    qtbot.waitUntil(lambda: pairs(page) == in_turns, timeout=5_000)


def test_that_which_of_very_many_are_listed_follows_the_order(page, qtbot, monkeypatch):
    monkeypatch.setattr(page_reading, "_MAX_EXPECTED", 3)
    page.filters._choose(HeatOrder.SCORE)
    qtbot.waitUntil(lambda: pairs(page) == [(8, DOG), (7, DOG), (6, DOG)], timeout=5_000)
    page.filters._choose(HeatOrder.TURNS)
    qtbot.waitUntil(lambda: pairs(page) == [(8, DOG), (1, CAR), (7, DOG)], timeout=5_000)


def test_that_letters_are_the_gallerys_also_after_a_click_on_a_class(page, around, qtbot):
    view = page.classes.view
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(view.model().index(1, 0)).center())
    assert page.classes.chosen == DOG
    QTest.keyClick(view, Qt.Key.Key_Y)
    assert page.model.presence(0) == 1
    QTest.keyClick(view, Qt.Key.Key_Down)  # still moves in the list
    assert page.classes.chosen == CAR
    qtbot.waitUntil(lambda: around.editing.is_idle, timeout=5_000)


def test_that_a_project_open_read_only_is_looked_at_and_not_changed(opened, page, dataset, monkeypatch):
    before = labels_of(dataset)
    monkeypatch.setattr(type(dataset), "is_read_only", property(lambda _: True))
    said = []
    opened.said.connect(said.append)
    press(page, Qt.Key.Key_Y)
    assert said == ["This project is open read-only: look and sort, but labels are refused."]
    assert page.model.presence(0) == -1
    assert labels_of(dataset) == before


@pytest.fixture
def damaged(run):
    """The same run with a file of heat that is cut off."""
    maps = heatmaps_folder(run.results) / "maps_b.npy"
    maps.write_bytes(maps.read_bytes()[:100])
    return run


def test_that_damaged_heat_is_told_in_words(damaged, shown, qtbot):
    assert damaged.results.is_dir()
    qtbot.waitUntil(lambda: "damaged" in shown.page.empty.words, timeout=5_000)


def test_that_the_pane_goes_back_to_an_epoch_that_was_kept(page, opened, qtbot):
    qtbot.waitUntil(lambda: page.detail._epochs.stops == (2, 3), timeout=5_000)
    page.detail._epochs.setFocus()
    QTest.keyClick(page.detail._epochs, Qt.Key.Key_Left)
    assert page.detail._epochs.epoch == 2
    qtbot.waitUntil(lambda: not opened.reviewing._facts.is_busy, timeout=5_000)
    assert page.detail._epochs.epoch == 2

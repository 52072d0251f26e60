"""The page of the experts on a small routed project: looked through, mended by keys, taken back by undo."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from locstudio.domain.edits import Edit, SuperclassChange
from locstudio.domain.regions import Superclass
from locstudio.jobs.routing import read_routing, routing_folder, write_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.services.image_classes import classes_of_images
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.store.thumbnails import ThumbnailStore
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.pictures import Pictures
from locstudio.ui.routing import page_reading, page_reviewing, page_watching
from locstudio.ui.routing.cross_model import AS_GIVEN
from locstudio.ui.routing.page_commands import ExpertCommand
from locstudio.ui.routing.page_desk import ExpertDesk
from locstudio.ui.routing.page_grid import ImageOrder
from locstudio.ui.routing.page_reading import OfExpert

NUM_IMAGES, NUM_EXPERTS = 24, 3
NAMES = ("1 · animals", "2 · vehicles", "3 · food")


@pytest.fixture(scope="module")
def template(tmp_path_factory, routing):
    """Two finished runs over 24 images of six classes; the first image is labelled as something of another expert."""
    return routing.make_routed_project(tmp_path_factory.mktemp("routed"), num_images=NUM_IMAGES)


@pytest.fixture
def project(template, tmp_path):
    return Project(shutil.copytree(template.path, tmp_path / "project"))


class Around:
    """What a project has that the page needs: pictures and edits, without a window."""

    def __init__(self, project, *, read_only=False):
        self.dataset = Dataset.open(project, read_only=read_only)
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
def show(qtbot, monkeypatch):
    """Shows the page of a project, whatever it has."""
    monkeypatch.setattr(page_reviewing, "_ANEW_MS", 10)
    monkeypatch.setattr(page_watching, "_LOOK_MS", 50)
    made = []

    def make(project, **options):
        around = Around(project, **options)
        desk = ExpertDesk(around)
        qtbot.addWidget(desk.page)
        desk.page.resize(1280, 700)
        desk.page.show()
        made.append((desk, around))
        return desk

    yield make
    for desk, around in made:
        desk.close()
        around.close()


@pytest.fixture
def opened(project, show, qtbot):
    desk = show(project)
    qtbot.waitUntil(lambda: len(desk.page.model.rows) > 0 and not desk.cells.is_busy, timeout=10_000)
    return desk


def of_expert(desk, expert, qtbot):
    """The images of an expert, once they are listed."""
    with qtbot.waitSignal(desk.reviewing.shown, timeout=5_000):
        desk.reviewing.choose_expert(expert)
    qtbot.waitUntil(lambda: not desk.cells.is_busy, timeout=5_000)
    return desk.page.model.image_ids(desk.page.model.rows)


def press(desk, *keys):
    for key in keys:
        QTest.keyClick(desk.page.gallery.grid, key)


def test_that_every_expert_has_a_card_and_the_first_its_gallery(opened, qtbot):
    page, book = opened.page, opened.reviewing.base.book
    cards = page.cards.cards
    assert tuple(card.name for card in cards) == NAMES
    assert [card.num_images for card in cards] == np.bincount(book.experts_N, minlength=NUM_EXPERTS).tolist()
    assert cards[0].even == pytest.approx(1 / 3)
    margins = [book.margins_N[book.row_of(image_id)] for image_id in page.model.image_ids(page.model.rows)]
    assert margins == sorted(margins, reverse=True)
    qtbot.waitUntil(lambda: page.gallery.foot_words.startswith("picture_"), timeout=5_000)
    assert "24 images · router taught superclasses" in page.head.words
    assert page.head.run_words.startswith("Experts, again")


def test_that_experts_and_orders_are_gone_through_by_keys(opened, qtbot):
    page = opened.page
    press(opened, Qt.Key.Key_D)
    qtbot.waitUntil(lambda: page.gallery.words.startswith("Expert 2 · vehicles"), timeout=5_000)
    assert page.cards.chosen == 1
    press(opened, Qt.Key.Key_O)  # from sure to unsure
    book = opened.reviewing.base.book

    def is_rising():
        margins = [book.margins_N[position] for position in page.model.rows]
        return len(margins) > 1 and margins == sorted(margins)

    qtbot.waitUntil(is_rising, timeout=5_000)
    press(opened, Qt.Key.Key_A)
    qtbot.waitUntil(lambda: page.gallery.words.startswith("Expert 1 · animals"), timeout=5_000)


def test_that_a_wrong_label_is_mended_in_place_and_undo_brings_it_back(opened, routing, qtbot):
    page, dataset = opened.page, opened._collection.dataset
    with qtbot.waitSignal(opened.reviewing.shown, timeout=5_000):
        opened.reviewing.read(routing.FIRST_RUN)
    before = opened.reviewing.base.book
    row = 0  # its label says another thing than it shows
    assert before.mismatch_N[row]
    image_id = int(before.table.image_ids[row])
    of_expert(opened, int(before.experts_N[row]), qtbot)
    with qtbot.waitSignal(opened.reviewing.shown, timeout=5_000):
        page.gallery._choose(ImageOrder.MISMATCH)
    place = page.model.place_of_image(image_id)
    page.gallery.grid.go_to(place)
    assert "its class belongs to expert" in page.model.tile(place).sentence()
    press(opened, Qt.Key.Key_C)
    picker = opened.reviewing.mending.picker
    assert "predicted" in picker.names[0]  # what the model takes it for comes first
    QTest.keyClick(picker.field, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: page.model.tile(place).is_done, timeout=5_000)
    (class_id,) = classes_of_images(dataset, [image_id])[image_id]
    assert class_id == before.table.header.class_ids[int(before.table.predicted[row])]
    assert page.model.tile(place).was
    qtbot.waitUntil(lambda: not opened.reviewing.base.book.mismatch_N[row], timeout=5_000)
    assert page.gallery.grid.place != place  # the next one is current
    opened._collection.editing.undo()
    qtbot.waitUntil(lambda: bool(opened.reviewing.base.book.mismatch_N[row]), timeout=5_000)
    qtbot.waitUntil(lambda: not page.model.tile(place).is_done, timeout=5_000)


def test_that_several_are_given_one_class_in_one_step(opened, qtbot):
    page, dataset = opened.page, opened._collection.dataset
    image_ids = of_expert(opened, 0, qtbot)
    page.gallery.grid.selectAll()
    qtbot.waitUntil(lambda: page.gallery._relabel.text() == f"Change class of {len(image_ids)}…", timeout=5_000)
    press(opened, Qt.Key.Key_F2)
    picker = opened.reviewing.mending.picker
    picker.field.setText("tractor")
    assert picker.names == ["tractor"] or picker.names[0].startswith("tractor")
    picker.accept()
    tractor = next(entry.id for entry in dataset.classes() if entry.name == "tractor")
    qtbot.waitUntil(lambda: set(classes_of_images(dataset, image_ids).values()) == {(tractor,)}, timeout=5_000)
    assert dataset.history(1)[0].title.startswith("Change the class of")
    press(opened, Qt.Key.Key_N)  # the selection is gone on to the next; deny what it says
    opened._collection.editing.undo()
    opened._collection.editing.undo()
    qtbot.waitUntil(lambda: opened._collection.editing.is_idle, timeout=5_000)


def test_that_a_denied_class_is_shown_as_none(opened, qtbot):
    page, dataset = opened.page, opened._collection.dataset
    place = page.gallery.grid.place
    image_id = page.gallery.grid.current.image_id
    press(opened, Qt.Key.Key_N)
    qtbot.waitUntil(lambda: page.model.tile(place).is_done, timeout=5_000)
    assert classes_of_images(dataset, [image_id]) == {image_id: ()}
    assert page.model.tile(place).class_name == ""


def test_that_a_cell_of_a_matrix_opens_its_images(opened, qtbot):
    page, book = opened.page, opened.reviewing.base.book
    press(opened, Qt.Key.Key_2)
    qtbot.waitUntil(lambda: page.matrix.table.cells.rowCount() == 6, timeout=5_000)
    assert page.window().focusWidget() is page.matrix.table
    cross = page.matrix.table.cells.cross
    assert int(cross.counts.sum()) == NUM_IMAGES
    row = int(np.argmax(cross.counts.max(axis=1)))
    column = int(np.argmax(cross.counts[row]))
    page.matrix.table.mark(row, column)
    QTest.keyClick(page.matrix.table, Qt.Key.Key_Return)
    count = int(cross.counts[row, column])
    qtbot.waitUntil(lambda: len(page.model.rows) == count, timeout=5_000)
    assert page.gallery.words == f"{cross.row_names[row]} → expert {book.expert_names[column]} {count} images"
    assert set(book.experts_N[page.model.rows].tolist()) == {column}
    QTest.keyClick(page.matrix.table, Qt.Key.Key_N)  # the eye is on the matrix: no image is denied
    QTest.keyClick(page.matrix.table, Qt.Key.Key_D)
    assert page.view is ExpertCommand.MATRIX
    assert opened._collection.editing.is_idle
    page.matrix.kinds.press("superclass")
    qtbot.waitUntil(lambda: page.matrix.table.cells.rowCount() == NUM_EXPERTS, timeout=5_000)
    page.matrix.table.verticalHeader().sectionClicked.emit(0)
    total = int(page.matrix.table.cells.totals[0])
    qtbot.waitUntil(lambda: len(page.model.rows) == total, timeout=5_000)


def test_that_what_moved_is_a_matrix_and_a_list(opened, qtbot):
    page = opened.page
    press(opened, Qt.Key.Key_4)
    qtbot.waitUntil(lambda: opened.reviewing.compared is not None, timeout=5_000)
    found = opened.reviewing.compared.drift
    num = int(found.is_moved.sum())
    assert num == 3
    qtbot.waitUntil(lambda: len(page.model.rows) == num, timeout=5_000)
    assert page.drift.words.startswith("3 of 24 images (12%) moved to another expert")
    tile = page.model.tile(0)
    assert tile.note == f"{found.old_expert[0] + 1} → {found.new_expert[0] + 1}"
    old, new = int(found.old_expert[0]), int(found.new_expert[0])
    page.drift.table.mark(old, new)
    QTest.keyClick(page.drift.table, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(page.model.rows) == int(found.matrix[old, new]), timeout=5_000)
    assert "went to expert" in page.drift.table.sentence()


def test_that_the_load_of_every_expert_is_told_without_colours(opened, qtbot):
    page = opened.page
    press(opened, Qt.Key.Key_3)
    assert page.gallery.isHidden()
    ends = [name for name, _ in page.load.load.ends]
    last = opened.reviewing.base.history.load[-1, 0]
    assert ends == [f"{name}  {share:.0%}" for name, share in zip(NAMES, last, strict=True)]
    middles = sorted(y for _, y in page.load.load.ends)
    assert min(np.diff(middles)) >= page.fontMetrics().height() - 3
    order = np.argsort(-last, kind="stable").tolist()
    page.load.load.mark(order[0])
    QTest.keyClick(page.load.load._plot, Qt.Key.Key_Down)
    assert page.cards.chosen == order[1]
    assert page.load.load.words.startswith(opened.reviewing.base.book.expert_names[order[1]])
    press(opened, Qt.Key.Key_N)  # what is not seen is not denied
    assert opened._collection.editing.is_idle


def test_that_an_expert_is_shown_from_elsewhere_and_another_run_chosen(opened, routing, qtbot):
    page = opened.page
    opened.reviewing.show_view(ExpertCommand.LOAD)
    opened.reviewing.show_expert(2, routing.FIRST_RUN)
    qtbot.waitUntil(lambda: page.gallery.words.startswith("Expert 3 · food"), timeout=5_000)
    assert opened.reviewing.run_id == routing.FIRST_RUN
    assert page.view is ExpertCommand.EXPERTS
    assert opened.reviewing._scopes[page.view] == OfExpert(2)
    opened.reviewing.show_expert(1)
    qtbot.waitUntil(lambda: page.gallery.words.startswith("Expert 2 · vehicles"), timeout=5_000)


def test_that_a_run_that_goes_on_is_read_again_and_a_damaged_one_named(opened, project, routing, qtbot):
    page = opened.page
    results = RunFolder(project.runs / routing.SECOND_RUN).results
    table = read_routing(results)
    write_routing(results, table)  # the next epoch
    before = opened.reviewing.base
    qtbot.waitUntil(lambda: opened.reviewing.base is not before, timeout=5_000)
    for run in (routing.FIRST_RUN, routing.SECOND_RUN):
        (routing_folder(RunFolder(project.runs / run).results) / "routing.safetensors").write_bytes(b"no table")
    qtbot.waitUntil(lambda: page.empty.words.startswith("The routing cannot be read"), timeout=5_000)
    assert page.is_empty


def test_that_an_image_is_opened_in_the_collection(opened, qtbot):
    wanted = opened.page.gallery.grid.current.image_id
    with qtbot.waitSignal(opened.open_wanted, timeout=2_000) as heard:
        press(opened, Qt.Key.Key_G)
    assert heard.args == [wanted]


def test_that_the_superclasses_have_their_view(opened, qtbot):
    press(opened, Qt.Key.Key_5)
    assert opened.superclasses is not None
    assert opened.superclasses.isVisible()
    qtbot.waitUntil(lambda: not opened.superclasses.is_busy, timeout=10_000)
    opened.reviewing.show_expert(2)
    assert opened.page.view is ExpertCommand.EXPERTS
    assert not opened.superclasses.isVisible()
    QTest.keyClick(opened.page.gallery.grid, Qt.Key.Key_5)
    QTest.keyClick(opened.superclasses, Qt.Key.Key_2)
    assert opened.page.view is ExpertCommand.MATRIX


def test_that_an_expert_is_called_as_its_superclass_is_now(opened, qtbot):
    dataset = opened._collection.dataset
    animals = dataset.superclasses()[0]
    renamed = Superclass(animals.id, "beasts", animals.color)
    opened._collection.editing.apply(Edit("Name", (SuperclassChange(animals, renamed),)))
    qtbot.waitUntil(lambda: opened.page.cards.cards[0].name == "1 · beasts", timeout=5_000)


def test_that_a_project_without_routing_says_what_helps(sample, show, qtbot):
    desk = show(sample.project)
    qtbot.waitUntil(lambda: desk.page.empty.words.startswith("No image is routed yet"), timeout=5_000)
    assert desk.page.is_empty
    buttons = {button.text(): button for button in desk.page.empty.buttons}
    with qtbot.waitSignal(desk.wanted, timeout=1_000) as heard:
        buttons["Train experts…"].click()
    assert heard.args == ["train"]


def test_that_a_first_run_that_goes_on_is_said_to_come(sample, show, monkeypatch, qtbot):
    monkeypatch.setattr(page_reading, "is_coming", lambda _: True)
    desk = show(sample.project)
    qtbot.waitUntil(lambda: desk.page.empty.words.startswith("The first images are being routed"), timeout=5_000)
    assert desk.page.empty.buttons == []


def test_that_a_router_of_another_layer_is_looked_at(routing, tmp_path, show, qtbot):
    made = routing.make_routed_project(tmp_path / "tokens", num_images=12, num_routers=2, routing="token")
    desk = show(made)
    qtbot.waitUntil(lambda: len(desk.page.model.rows) > 0, timeout=10_000)
    assert desk.page.cards.cards[0].title == "Expert 1"
    desk.page.head._routers.setCurrentIndex(1)
    qtbot.waitUntil(lambda: desk.reviewing.base.book.router == 1, timeout=5_000)
    qtbot.waitUntil(lambda: len(desk.page.model.rows) > 0 and not desk.cells.is_busy, timeout=5_000)
    assert set(desk.reviewing.base.book.experts_N[desk.page.model.rows].tolist()) == {0}


def test_that_a_read_only_project_is_looked_at_and_not_changed(project, show, qtbot):
    desk = show(project, read_only=True)
    qtbot.waitUntil(lambda: len(desk.page.model.rows) > 0, timeout=10_000)
    with qtbot.waitSignal(desk.said, timeout=1_000) as heard:
        press(desk, Qt.Key.Key_C)
    assert heard.args[0].startswith("This project is open read-only")
    assert desk.reviewing.mending.picker is None
    assert not desk.page.head._train.isEnabled()
    assert desk.page.matrix.table.cells.order == AS_GIVEN

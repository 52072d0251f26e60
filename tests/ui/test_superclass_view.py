"""The editor of superclasses on a project: each wish is one undo step, and every undo is seen."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMenu

from locstudio.domain.edits import ClassChange, Edit, SuperclassChange
from locstudio.jobs.routing import read_routing
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_state import RunMark
from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.store.dataset import Dataset
from locstudio.store.project import Project
from locstudio.ui.background import DatasetWorker
from locstudio.ui.editing import Editing
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.pictures import Pictures
from locstudio.ui.project_loading import open_project
from locstudio.ui.routing import superclass_reading
from locstudio.ui.routing.superclass_commands import SuperclassCommand
from locstudio.ui.routing.superclass_picture import NEW
from locstudio.ui.routing.superclass_view import SuperclassView


class Opened:
    """A view on a project, with what of a desk it uses."""

    def __init__(self, path, qtbot) -> None:
        self.opened = open_project(path)
        self.dataset = self.opened.dataset
        self.worker = DatasetWorker()
        self.editing = Editing(self.dataset, self.worker)
        self.thumbnails = PictureLoader(Pictures(self.dataset, self.opened.thumbnails).thumbnail)
        desk = SimpleNamespace(opened=self.opened, editing=self.editing, thumbnails=self.thumbnails)
        self.view = SuperclassView(desk)
        self.said: list[str] = []
        self.view.said.connect(self.said.append)
        self._qtbot = qtbot
        qtbot.addWidget(self.view)
        self.view.resize(1100, 640)
        self.view.show()
        self.settle()

    def settle(self) -> None:
        for _ in range(3):
            self._qtbot.waitUntil(lambda: not self.view.is_busy and self.editing.is_idle, timeout=10_000)
            QApplication.processEvents()

    def groups(self) -> dict[str, list[str]]:
        """What is shown: superclasses by name, with the names of their classes."""
        picture = self.view.picture
        return {group.name: [picture.name_of(each) for each in group.class_ids] for group in picture.groups}

    def key(self, name) -> int:
        return next(group.key for group in self.view.picture.groups if group.name == name)

    def id_of(self, name) -> int:
        return next(entry.id for entry in self.dataset.classes() if entry.name == name)

    def titles(self) -> list[str]:
        return [entry.title for entry in self.dataset.history(3)]

    def close(self) -> None:
        self.view.close_view()
        self.thumbnails.close()
        self.worker.close()
        self.opened.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory, routing):
    """A project of six classes in three superclasses, with two runs."""
    return routing.make_routed_project(tmp_path_factory.mktemp("made"), num_images=12).path


@pytest.fixture
def copied(made, tmp_path):
    return shutil.copytree(made, tmp_path / "project")


@pytest.fixture
def opened(copied, qtbot):
    shown = Opened(copied, qtbot)
    yield shown
    shown.close()


@pytest.fixture
def suggested(copied, qtbot):
    """The same project before anybody has made superclasses."""
    with Dataset.open(Project(copied)) as dataset:
        changes = [ClassChange(entry, replace(entry, superclass_id=None)) for entry in dataset.classes()]
        changes += [SuperclassChange(each, replace(each, is_retired=True)) for each in dataset.superclasses()]
        dataset.apply(Edit("As new", tuple(changes)))
    shown = Opened(copied, qtbot)
    yield shown
    shown.close()


OWN = {
    "animals": ["tabby cat", "golden retriever"],
    "vehicles": ["collie", "sports car"],
    "food": ["school bus", "tractor"],
}


def test_that_the_projects_superclasses_are_shown_with_how_much_stays_inside(opened):
    assert opened.groups() == OWN
    assert opened.view.head.words.startswith("3 superclasses of 6 classes · ")
    assert opened.view.notice.isHidden()
    assert opened.view.head.take.isHidden()


def test_that_a_dropped_class_moves_in_one_step_and_comes_back_by_undo_from_anywhere(opened):
    collie = opened.id_of("collie")
    before = opened.view.picture.layout
    opened.view.canvas.move_wanted.emit((collie,), opened.key("animals"))
    opened.settle()
    assert opened.groups()["animals"] == ["tabby cat", "golden retriever", "collie"]
    assert opened.titles()[0] == "Move collie to “animals”"
    others = [each for each in before.slots if each != collie]
    assert all(opened.view.picture.layout.center_of(each) == before.center_of(each) for each in others)
    opened.editing.undo()
    opened.settle()
    assert opened.groups() == OWN
    opened.editing.redo()
    opened.settle()
    assert "collie" in opened.groups()["animals"]


def test_that_a_suggestion_is_shown_as_one_and_taken_over_by_its_button(suggested):
    assert suggested.view.picture.is_suggestion
    assert set(suggested.groups()) == set(OWN)
    assert suggested.view.notice.name == "suggestion"
    assert suggested.dataset.superclasses() == []
    suggested.view.head.take.click()
    suggested.settle()
    assert suggested.titles()[0] == "Take over 3 superclasses"
    assert not suggested.view.picture.is_suggestion
    assert suggested.view.notice.isHidden()


def test_that_the_first_edit_of_a_suggestion_takes_it_over_in_the_same_undo_step(suggested):
    view, collie = suggested.view, suggested.id_of("collie")
    before = view.picture.layout.center_of(suggested.id_of("tractor"))
    num = len(suggested.dataset.history())
    view.canvas.move_wanted.emit((collie,), suggested.key("animals"))
    suggested.settle()
    assert suggested.groups() == OWN | {
        "animals": ["tabby cat", "golden retriever", "collie"],
        "vehicles": ["sports car"],
    }
    assert len(suggested.dataset.history()) == num + 1
    assert suggested.titles()[0] == "Move collie to “animals”"
    assert view.picture.layout.center_of(suggested.id_of("tractor")) == before
    suggested.editing.undo()
    suggested.settle()
    assert view.picture.is_suggestion
    assert suggested.dataset.superclasses() == []


def test_that_a_new_superclass_is_named_at_once(opened):
    opened.view.canvas.move_wanted.emit((opened.id_of("collie"),), NEW)
    opened.settle()
    field = opened.view.canvas._name
    assert field.isVisible()
    assert field.text() == "New superclass"
    QTest.keyClicks(field, "dogs")
    QTest.keyClick(field, Qt.Key.Key_Return)
    opened.settle()
    assert opened.groups()["dogs"] == ["collie"]
    assert opened.titles()[:2] == ["Name superclass “dogs”", "New superclass “New superclass”"]


def test_that_superclasses_are_merged_and_an_empty_one_is_retired(opened):
    opened.view.edits.merge(opened.key("vehicles"), opened.key("food"))
    opened.settle()
    assert set(opened.groups()) == {"animals", "food"}
    assert opened.titles()[0] == "Merge “vehicles” into “food”"
    opened.view.edits.make(())
    opened.settle()
    opened.view.canvas._name.leave()
    assert opened.groups()["New superclass"] == []
    opened.view.canvas.choose_area(opened.key("New superclass"))
    opened.view.run(SuperclassCommand.RETIRE)
    opened.settle()
    assert set(opened.groups()) == {"animals", "food"}


def test_that_what_cannot_be_done_is_said_and_changes_nothing(opened):
    opened.view.edits.retire(opened.key("food"))
    opened.settle()
    opened.view.edits.name(opened.key("food"), "ANIMALS")
    opened.settle()
    assert opened.said == [
        "The superclass “food” still has 2 classes in it. Move them first, or merge it.",
        "There is a superclass “animals” already. Choose another name, or merge the two.",
    ]
    assert opened.groups() == OWN


def test_that_keys_alone_move_a_class(opened, monkeypatch):
    menus: list[QMenu] = []
    monkeypatch.setattr(QMenu, "popup", lambda menu, _at: menus.append(menu))  # it grabs a keyboard that is not there
    view = opened.view
    tree = view.side.tree
    view.side.search.setText("coll")
    QTest.keyClick(view.side.search, Qt.Key.Key_Return)
    assert view.canvas.chosen == (opened.id_of("collie"),)
    assert tree.chosen_ids() == view.canvas.chosen
    QTest.keyClick(tree, Qt.Key.Key_M)
    choices = [action for action in menus[0].actions() if action.text()]
    assert [action.text() for action in choices] == [
        "animals   (2)",
        "food   (2)",
        "New superclass",
        "No superclass",
    ]
    assert menus[0].activeAction() is choices[0]
    choices[1].trigger()
    opened.settle()
    assert "collie" in opened.groups()["food"]
    QTest.keyClick(tree, Qt.Key.Key_Backspace)
    opened.settle()
    assert opened.groups()["Without a superclass"] == ["collie"]


def test_that_a_class_that_pulls_elsewhere_follows_by_one_key(opened):
    collie = opened.id_of("collie")
    opened.view.edits.move((collie,), opened.key("food"))
    opened.settle()
    pulls = opened.view.picture.pulls
    pulling = next(iter(pulls))
    opened.view.choose((pulling,))
    assert "Move to “" in opened.view.side.detail.button(SuperclassCommand.FOLLOW).text()
    target = opened.view.picture.group(pulls[pulling].group).name
    QTest.keyClick(opened.view.canvas, Qt.Key.Key_Y)
    opened.settle()
    assert opened.view.picture.name_of(pulling) in opened.groups()[target]


def test_that_a_superclass_is_named_in_the_tree_by_f2(opened):
    tree = opened.view.side.tree
    opened.view._on_area(opened.key("food"))
    tree.setFocus()
    QTest.keyClick(tree, Qt.Key.Key_F2)
    editor = tree._name
    assert editor.text() == "food"
    QTest.keyClicks(editor, "dishes")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    opened.settle()
    assert "dishes" in opened.groups()


def test_that_the_images_behind_a_confusion_are_those_the_run_took_for_the_other(opened, qtbot):
    view = opened.view
    table = read_routing(RunFolder(opened.opened.project.runs / view.base.run.id).results)
    wrong = np.flatnonzero((table.truth >= 0) & (table.truth != table.predicted))
    first, second = (int(table.header.class_ids[array[wrong[0]]]) for array in (table.truth, table.predicted))
    view.side.detail.images_wanted.emit(first, second)
    opened.settle()
    assert view.side.shows_images
    assert int(table.image_ids[wrong[0]]) in view.side.images.model.ids.tolist()
    with qtbot.waitSignal(view.image_wanted) as wanted:
        view.side.images.tiles.activated.emit(view.side.images.model.index(0))
    assert wanted.args == [int(view.side.images.model.ids[0])]
    QTest.keyClick(view.side.images.tiles, Qt.Key.Key_Escape)
    assert not view.side.shows_images


def test_that_the_keys_stay_in_the_editor_when_what_had_them_goes_away(opened):
    side = opened.view.side
    opened.view.choose((opened.id_of("tabby cat"),))
    side.detail.open_first()
    opened.settle()
    assert QApplication.focusWidget() is side.images.tiles
    opened.view.choose(())
    assert QApplication.focusWidget() is side.tree
    opened.view.choose((opened.id_of("tabby cat"),))
    side.detail.table.setFocus()
    opened.view.edits.move((opened.id_of("collie"), opened.id_of("sports car")), opened.key("animals"))
    opened.settle()
    opened.view.choose(())
    assert side.detail.table.isVisible() or QApplication.focusWidget() is side.tree


def test_that_superclasses_go_out_into_a_file_and_come_back(opened, tmp_path):
    path = tmp_path / "mine.json"
    opened.view.export_to(path)
    opened.settle()
    opened.view.edits.move((opened.id_of("collie"),), WITHOUT)
    opened.settle()
    opened.view.edits.import_from(path)
    opened.settle()
    assert opened.groups() == OWN
    assert opened.said == ["Superclasses written to “mine.json”.", "3 superclasses with 6 classes from “mine.json”."]
    path.write_text("no superclasses")
    opened.view.edits.import_from(path)
    opened.settle()
    assert "mine.json" in opened.said[-1]
    assert opened.groups() == OWN


def test_that_a_training_with_older_superclasses_is_named_and_not_disturbed(opened, monkeypatch):
    project = opened.opened.project
    folder = RunFolder(sorted(project.runs.iterdir())[-1])
    opened.dataset.snapshot(folder.snapshot)
    monkeypatch.setattr(superclass_reading, "living_mark", lambda run: RunMark if run.id == folder.id else None)
    opened.view.read()
    opened.settle()
    assert opened.view.notice.isHidden()
    opened.view.edits.move((opened.id_of("collie"),), opened.key("food"))
    opened.settle()
    assert "used by the next training" in opened.view.notice.text


def test_that_before_and_after_stand_side_by_side_with_what_each_was_worth(opened):
    view = opened.view
    opened.view.edits.move((opened.id_of("collie"),), opened.key("food"))
    opened.settle()
    view.head.compare_toggled.emit(True)
    opened.settle()
    before, after = view.before.before, view.before.after
    header = view.base.runs[0].header
    assert view.before.chosen == (view.base.runs[0].id, "")
    assert f"With experts: {100 * header.moe_top1:.1f} %" in before.words
    assert "With experts: not measured" in after.words
    lines = view.before.table.rows.lines
    assert [line.cells for line in lines] == [("collie", "vehicles", "food")]
    assert before.canvas.chosen == after.canvas.chosen == (opened.id_of("collie"),)
    tabby = opened.id_of("tabby cat")
    assert before.canvas.picture.layout.center_of(tabby) == after.canvas.picture.layout.center_of(tabby)
    view.before.compare_wanted.emit(*(run.id for run in view.base.runs[::-1]))
    opened.settle()
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert not view.is_comparing


def test_that_the_superclasses_of_an_earlier_run_are_taken_back_in_one_step(opened):
    opened.view.edits.merge(opened.key("vehicles"), opened.key("food"))
    opened.settle()
    opened.view.head.compare_toggled.emit(True)
    opened.settle()
    opened.view.before.before.use.click()
    opened.settle()
    assert opened.titles()[0] == "Take over 3 superclasses"
    assert opened.groups() == OWN
    assert opened.view.before.after.use.isHidden()  # those of now are the project's already


def test_that_a_class_is_listed_with_what_it_is_confused_with_and_how_many_images_are_behind(opened):
    view, tabby = opened.view, opened.id_of("tabby cat")
    view.choose((tabby,))
    lines = view.side.detail.table.rows.lines
    assert lines[0].ids == (tabby, opened.id_of("golden retriever"))
    nums = [int(line.cells[3]) for line in lines]
    assert nums == [view.picture.num_taken.get(line.ids, 0) for line in lines]
    assert "In its 2 images, on average, the dense twin gave it a probability of 65 %." in view.side.detail.words
    assert sum(view.picture.num_taken.values()) > 0


def test_that_confusions_that_cannot_be_read_are_said_and_those_of_an_older_run_are_shown(opened):
    newest = RunFolder(sorted(opened.opened.project.runs.iterdir())[-1])
    (newest.results / "confusion" / "confusion.safetensors").write_bytes(b"not what was written")
    opened.view.read()
    opened.settle()
    assert "cannot be read" in opened.view.notice.text
    assert "Train again" in opened.view.notice.text
    assert [run.id for run in opened.view.base.runs] == [opened.view.base.run.id]
    assert opened.groups() == OWN


def test_that_the_newest_run_is_followed_and_one_that_was_chosen_stays(opened):
    runs = opened.opened.project.runs
    newest = sorted(runs.iterdir())[-1]
    shutil.copytree(newest, runs / "20260803T100000Z-vmoe-cccccc")
    opened.view.read()
    opened.settle()
    assert opened.view.base.run.id == "20260803T100000Z-vmoe-cccccc"
    opened.view.head.run_chosen.emit(newest.name)
    opened.settle()
    opened.view.read()
    opened.settle()
    assert opened.view.base.run.id == newest.name


def test_that_without_a_run_classes_are_grouped_by_hand_and_a_training_is_offered(copied, qtbot):
    for run in (copied / "runs").iterdir():
        shutil.rmtree(run)
    shown = Opened(copied, qtbot)
    try:
        assert shown.groups() == OWN
        assert shown.view.notice.text.startswith("No run has measured yet what is confused")
        with qtbot.waitSignal(shown.view.train_wanted):
            shown.view.notice.accepted.emit(shown.view.notice.name)
        shown.view.edits.move((shown.id_of("collie"),), shown.key("food"))
        shown.settle()
        assert "collie" in shown.groups()["food"]
    finally:
        shown.close()

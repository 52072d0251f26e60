"""Routing of an image without a window: what is said, bars, questions to the engine one at a time, and the panel."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtTest import QTest

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.jobs.checkpoint_folder import CheckpointInfo
from locstudio.services.curation.measures import Measures
from locstudio.services.routing.found import FoundRouting
from locstudio.services.routing.wishes import SMALL_MARGIN, RoutingCounts, RoutingsOf, RoutingWish
from locstudio.services.routing.words import taken_from
from locstudio.store.dataset import Dataset
from locstudio.ui.engine_client import EngineState
from locstudio.ui.gallery.filter_bar import MISMATCH, UNSURE, FilterBar
from locstudio.ui.gallery.gallery_model import TOLD_ROLE, GalleryModel
from locstudio.ui.heatmaps.class_rows import ClassRow
from locstudio.ui.region_looking import class_words, hot_bars, seen_experts
from locstudio.ui.routing import routing_panel_words as words
from locstudio.ui.routing.routing_panel import RoutingPanel, expert_rows
from locstudio.ui.routing.routing_panel_asking import Question, RoutingAsker
from locstudio.ui.routing.routing_panel_bars import ROW_ROLE, GroupRow
from locstudio.ui.routing.routing_panel_classes import compared, numbers_of
from locstudio.ui.routing.routing_panel_reading import Model, ReadRouting, RoutingReader
from locstudio.ui.search.region_look import RegionLook, Seen

NAMES = ("1 · animals", "2 · vehicles", "3 · food")
REAL = (("school bus", 0.6), ("tractor", 0.25), ("collie", 0.05))
OTHER = (("collie", 0.5), ("school bus", 0.3), ("orange", 0.04))
FOUND = FoundRouting(
    checkpoint_id="vmoe-1",
    name="experts",
    routing="superclass",
    layers=(5, 6),
    expert_names=NAMES,
    probabilities_RE=((0.15, 0.75, 0.1),),
    experts_R=((1,),),
    classes=REAL,
    what_if_E=(OTHER, REAL, OTHER),
    homes={"collie": 0, "school bus": 1, "tractor": 1},
)
INFO = CheckpointInfo("vmoe-1", "experts", 0, 0, 0, 224, 1, "", "", {}, "vmoe")
IMAGE = Image(1, 1, "a", 10, 10)


def read(found=FOUND, **others) -> ReadRouting:
    return ReadRouting(IMAGE, found=found, model=Model(Path("/m"), INFO), **{"is_answered": True, **others})


class TestWords:
    def test_that_a_margin_is_said_in_words_and_in_a_number(self):
        assert words.verdict(FOUND) == "Probability 0.75: clearly ahead of expert 1 · animals, by 0.60."
        narrow = replace(FOUND, probabilities_RE=((0.44, 0.46, 0.1),))
        assert "all but even with expert 1 · animals, by 0.02" in words.verdict(narrow)
        assert words.verdict(replace(FOUND, routing="random")).startswith("Chance has chosen")
        assert "75% of the tokens" in words.verdict(replace(FOUND, routing="token"))

    def test_that_a_mismatch_is_said_plainly_and_names_the_experts_of_the_class(self):
        assert words.truth_words(FOUND, ["collie"]) == (
            "Mismatch: labelled collie, whose own expert is 1 · animals.",
            True,
        )
        assert words.truth_words(FOUND, ["tractor", "collie"]) == (
            "Labelled tractor and collie: this is the expert of tractor.",
            False,
        )
        assert "does not know" in words.truth_words(FOUND, ["zebra"])[0]
        assert "Nobody has said" in words.truth_words(FOUND, [])[0]
        assert "no superclasses" in words.truth_words(replace(FOUND, homes={}), ["collie"])[0]

    def test_that_layers_that_share_a_decision_are_one_group_and_others_one_each(self):
        assert [row.title for row in expert_rows(FOUND, []) if isinstance(row, GroupRow)] == [
            "Layers 5 and 6, one decision"
        ]
        tokens = replace(FOUND, routing="token", probabilities_RE=FOUND.probabilities_RE * 2, experts_R=((1,), (0,)))
        rows = expert_rows(tokens, ["collie"])
        assert [row.title for row in rows if isinstance(row, GroupRow)] == ["Layer 5", "Layer 6"]
        assert [(row.expert, row.rank, row.is_home) for row in rows[1:4]] == [
            (0, -1, True),
            (1, 0, False),
            (2, -1, False),
        ]
        assert rows[2].next_share == pytest.approx(0.15)

    def test_that_what_another_expert_would_have_said_is_a_sentence(self):
        assert words.changed_words(FOUND, 0) == ("Had expert 1 · animals taken it: collie 0.50 instead of school bus.")
        sure = replace(FOUND, what_if_E=((("school bus", 0.9),), REAL, OTHER))
        assert "still school bus, surer (0.60 → 0.90)" in words.changed_words(sure, 0)

    def test_that_nothing_is_explained_by_what_would_help(self):
        assert "Train experts" in words.why_none(ReadRouting(IMAGE))
        assert "not running" in words.why_none(ReadRouting(IMAGE, model=Model(Path("/m"), INFO)))
        assert words.note_of(read(is_stale=True))[1]
        assert "No run has routed the collection" in words.note_of(read())[0]


def test_that_two_predictions_are_compared_class_by_class():
    rows = compared(REAL, OTHER, ["Collie"])
    assert [row.name for row in rows] == ["school bus", "collie", "tractor", "orange"]
    assert [numbers_of(row) for row in rows] == [
        "0.60 → 0.30 ▼",
        "0.05 → 0.50 ▲",
        "0.25 → <0.04 ▼",
        "<0.05 → 0.04",
    ]
    assert [row.would_be_first for row in rows] == [False, True, False, False]
    assert rows[1].is_true
    assert "would have been the prediction" in rows[1].told()
    assert [numbers_of(row) for row in compared(REAL, None)] == ["0.60", "0.25", "0.05"]


class Engine(QObject):
    """Takes questions and answers when a test says so."""

    routed = Signal(int, object)
    refused = Signal(int, str)
    state_changed = Signal(object)

    def __init__(self):
        super().__init__()
        self.state = EngineState("ready")
        self.asked = []

    def find_routing(self, key, checkpoint, box=None):
        self.asked.append((key, box))
        return len(self.asked)


class TestAsking:
    @pytest.fixture
    def engine(self):
        return Engine()

    @pytest.fixture
    def ask(self, engine):
        asker = RoutingAsker(engine)
        heard = []

        def ask(who, key):
            question = Question(key, Path("/m"))
            asker.ask(who, question, lambda q, r: heard.append((q.key, r)), lambda q, s: heard.append((q.key, s)))

        ask.heard, ask.asker = heard, asker
        return ask

    def test_that_the_engine_is_asked_one_at_a_time_and_nobody_is_left_without_an_answer(self, engine, ask):
        ask("image", "1")
        ask("region", "1 box")
        assert [key for key, _ in engine.asked] == ["1"]
        engine.routed.emit(1, "first")
        engine.refused.emit(2, "second")
        assert ask.heard == [("1", "first"), ("1 box", "second")]

    def test_that_only_the_newest_question_of_each_is_answered(self, engine, ask):
        for key in ("1", "2", "3"):
            ask("image", key)
        engine.routed.emit(1, "late")
        engine.routed.emit(2, "third")
        assert [key for key, _ in engine.asked] == ["1", "3"]
        assert ask.heard == [("3", "third")]

    def test_that_what_is_forgotten_arrives_nowhere_and_holds_nobody_up(self, engine, ask):
        ask("image", "1")
        ask.asker.forget("image")
        ask("region", "box")
        engine.routed.emit(99, "somebody else's")
        engine.routed.emit(1, "late")
        engine.routed.emit(2, "box")
        assert ask.heard == [("box", "box")]


class TestPanel:
    @pytest.fixture
    def panel(self, qtbot):
        panel = RoutingPanel()
        qtbot.addWidget(panel)
        panel.resize(346, 640)
        panel.show()
        panel.show_read(read(truth=("collie",)))
        panel.heard = []
        panel.expert_chosen.connect(lambda expert: panel.heard.append(("asked", expert)))
        panel.gallery_wanted.connect(lambda expert: panel.heard.append(("gallery", expert)))
        return panel

    def test_that_the_expert_that_took_it_comes_first_and_keys_ask_about_others(self, panel):
        assert panel.experts.current.rank == 0
        QTest.keyClick(panel.experts, Qt.Key.Key_Up)
        assert (panel.asked, panel.heard) == (0, [("asked", 0)])
        assert "collie 0.50 instead of school bus" in panel._what_if.text()
        assert panel.classes.rows.all[1].would_be_first
        QTest.keyClick(panel.experts, Qt.Key.Key_Escape)
        assert panel.asked == 1
        assert not panel.classes.rows.all[0].is_compared

    def test_that_what_is_asked_stays_while_the_same_image_is_read_again(self, panel):
        QTest.keyClick(panel.experts, Qt.Key.Key_Down)
        panel.show_read(read(truth=("school bus",)))
        assert panel.asked == 2
        assert "own expert" in panel._truth.text()
        panel.show_read(replace(read(), image=replace(IMAGE, id=2)))
        assert panel.asked == 1

    def test_that_every_row_is_read_aloud_and_can_be_painted(self, panel):
        rows = panel.experts.rows
        spoken = [rows.index(n).data(Qt.ItemDataRole.AccessibleTextRole) for n in range(rows.rowCount())]
        assert spoken[1:3] == [
            "expert 1 · animals, 0.150, the expert of its class",
            "expert 2 · vehicles, 0.750, took it",
        ]
        assert not rows.index(0).flags() & Qt.ItemFlag.ItemIsSelectable
        assert isinstance(rows.index(0).data(ROW_ROLE), GroupRow)
        for width in (346, 200):
            panel.resize(width, 640)
            assert not panel.grab().isNull()

    def test_that_without_a_model_one_sentence_and_a_button_say_what_to_do(self, panel, qtbot):
        panel.show_read(ReadRouting(IMAGE))
        assert panel._empty_train.isVisible()
        with qtbot.waitSignal(panel.train_wanted):
            panel._empty_train.click()
        panel.show_read(ReadRouting(IMAGE, problem="The table is damaged.", model=Model(Path("/m"), INFO)))
        assert panel._empty.text() == "The table is damaged."
        assert not panel._empty_train.isVisible()

    def test_that_without_a_table_it_offers_to_route_the_collection(self, panel):
        assert panel._route.isVisible()
        assert panel._train.isVisible()
        assert not panel._gallery.isVisible()
        QTest.keyClick(panel.experts, Qt.Key.Key_Return)
        assert panel.heard == []


class TestReading:
    @pytest.fixture
    def project(self, routing, tmp_path):
        return routing.make_routed_project(tmp_path, num_images=4, has_second=False)

    def test_that_a_table_goes_before_the_model_and_another_file_before_the_table(self, project):
        with Dataset.open(project) as dataset:
            reader = RoutingReader(project, dataset)
            (image,) = dataset.images([1])
            seen = reader.read(image)
            assert (seen.is_in_table, seen.is_stale, seen.model.is_of_run) == (True, False, True)
            assert seen.found.expert_names[0] == "1 · animals"
            assert seen.run == reader.read(image, look_again=True).runs[0]
            assert reader.model(image).found is None
            stale = reader.read(replace(image, sha256="0" * 64))
            assert (stale.is_stale, stale.found) == (True, None)
            unseen = reader.read(replace(image, id=99))
            assert (unseen.is_in_table, unseen.found) == (False, None)

    def test_that_without_a_table_the_model_in_use_is_asked_and_without_that_nobody(self, project):
        with Dataset.open(project) as dataset:
            (image,) = dataset.images([1])
            (run,) = project.runs.iterdir()
            (run / "results" / "routing" / "routing.safetensors").write_bytes(b"damaged")
            seen = RoutingReader(project, dataset).read(image)
            assert (seen.run, seen.model.folder.name, seen.model.is_of_run) == (None, "best", False)
            shutil.rmtree(run / "checkpoints")
            gone = RoutingReader(project, dataset).read(image)
            assert (gone.found, gone.model) == (None, None)
            assert words.why_none(gone) == words.NO_MODEL


class TestRegion:
    def test_that_the_hottest_classes_inside_a_box_come_first(self):
        left, right = np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.uint8)
        left[:, :2], right[:, 2:] = 200, 100
        rows = [ClassRow(1, "sea", map_WW=right), ClassRow(2, "dog", map_WW=left), ClassRow(3, "cup")]
        bars = hot_bars(rows, UnitBox(0.25, 0, 0.625, 1))
        assert [(bar.key, bar.number) for bar in bars] == [(2, "0.52"), (1, "0.13")]
        assert "hotter than 50 % of the image" in bars[0].told
        assert hot_bars(rows, UnitBox(0.75, 0, 1, 1))[0].key == 1

    def test_that_a_folded_look_still_tells_the_whole_in_a_line(self, qtbot):
        look = RegionLook()
        qtbot.addWidget(look)
        look.resize(330, 200)
        look.show()
        look.set_routing(seen_experts(FOUND), class_words(FOUND))
        look.set_heat(Seen("Heat inside", sentence="No class is hot here."))
        assert [bar.key for bar in look.routing_seen.bars] == [1, 0, 2]
        assert look._classes.text().endswith("collie 0.05. Expert 2 clearly ahead of 1, by 0.60.")
        look.set_open(False)
        assert look._fold.text() == "Expert 2 · vehicles 0.75"
        assert not look._body.isVisible()
        look.wait()
        assert not look.grab().isNull()


class TestCollection:
    COUNTS = RoutingCounts((3, 0, 2), NAMES, 1, 2, 5)
    OF = RoutingsOf(
        np.array([0, 2, -1], np.int16),
        np.array([0.4, 0.05, np.nan], np.float32),
        np.array([False, True, False]),
        np.array([-0.9, 0.7, np.nan], np.float32),
    )

    def test_that_routing_is_wished_beside_filter_and_heat(self, qtbot):
        bar = FilterBar()
        qtbot.addWidget(bar)
        assert bar._expert.isHidden()
        bar.set_routing(self.COUNTS)
        assert [words for _, words, _ in bar._expert._choices] == ["Expert 1 · animals", "Expert 3 · food"]
        bar._routing.tick(MISMATCH)
        bar._routing.tick(UNSURE)
        bar._order.tick("margin")
        with qtbot.waitSignal(bar.routing_changed) as changed:
            bar._announce()
        assert changed.args == [RoutingWish(has_mismatch=True, max_margin=SMALL_MARGIN, order="margin")]
        with qtbot.waitSignal(bar.routing_changed):
            bar.set_expert(2)
        assert bar.routing == RoutingWish(experts=frozenset({2}))
        bar.clear()
        assert not bar.routing

    def test_that_routing_can_be_typed_among_the_words(self, qtbot):
        assert taken_from("dog expert:1,3 margin<0.1 mismatch:yes", 3) == (
            "dog",
            RoutingWish(frozenset({0, 2}), has_mismatch=True, max_margin=0.1),
        )
        assert taken_from("expert:4 expert: margin<x", 3) == ("expert:4 expert: margin<x", RoutingWish())
        bar = FilterBar()
        qtbot.addWidget(bar)
        bar.set_routing(self.COUNTS)
        bar._words.setText("expert:3 dog")
        bar._announce()
        assert (bar.filter.words, bar.routing.experts) == ("dog", {2})

    def test_that_tiles_say_expert_and_margin_where_the_gallery_is_sorted_by_them(self):
        model = GalleryModel()
        ids = np.array([7, 3, 5], np.int64)
        model.set_ids(ids, None, self.OF)
        assert [model.index(row).data(TOLD_ROLE) for row in range(3)] == ["1 · 0.40", "≠ 3 · 0.05", ""]
        assert self.OF.sentence(1) == "expert 3, which is not that of its class, margin 0.05"
        model.set_ids(ids)
        assert model.index(0).data(TOLD_ROLE) == ""

    def test_that_rows_of_curation_have_the_doubt_of_their_image(self):
        none = np.full(3, np.nan, np.float32)
        measures = Measures(outlier=none, disagreement=none, value=none, routing=self.OF)
        assert measures.of("margin") == pytest.approx([0.6, 0.95, np.nan], nan_ok=True)
        assert measures.of("mismatch") == pytest.approx([-0.6, 1.05, np.nan], nan_ok=True)
        assert measures.of("another") == pytest.approx([-0.9, 0.7, np.nan], nan_ok=True)
        assert Measures(outlier=none, disagreement=none, value=none).of("margin") is None

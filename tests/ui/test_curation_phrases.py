"""The phrase sheet: sorted, filtered, mapped by digit and by name, synonyms merged, all of it one wish."""

import pytest
from PySide6.QtCore import Qt

from locstudio.domain.regions import LabelClass
from locstudio.ui.curation.phrase_sheet import PhraseSheet, PhraseWishes
from locstudio.ui.curation.phrases_model import PhraseColumn, PhraseLine, PhrasesModel
from locstudio.ui.curation.synonyms_model import Synonym, SynonymColumn, SynonymGroup, SynonymsModel

CLASSES = (
    LabelClass(1, "dog", "#aa0000"),
    LabelClass(2, "horse", "#00aa00"),
    LabelClass(3, "old", "#0000aa", is_retired=True),
    LabelClass(4, "hot dog", "#00aaaa"),
)
LINES = (
    PhraseLine("a dog", 40, 20, 15, 5, 1),
    PhraseLine("a <b>brown</b> dog", 7, 7),
    PhraseLine("a horse", 90, 80, 4, 6),
    PhraseLine("the grass", 3, 3),
)
GROUPS = (
    SynonymGroup("a dog", (Synonym("dogs", 4, 0.9), Synonym("a dog", 40, 1.0), Synonym("a puppy", 2, 0.8))),
    SynonymGroup("a horse", (Synonym("a horse", 90, 1.0), Synonym("horses", 9, 0.95))),
)


@pytest.fixture
def sheet(qtbot):
    made = PhraseSheet()
    qtbot.addWidget(made)
    made.show_phrases(LINES, CLASSES, GROUPS)
    with qtbot.waitExposed(made):
        made.show()
    return made


def phrases_of(model):
    return [model.line(row).phrase for row in range(model.rowCount())]


def test_that_the_models_keep_qts_promises(qtmodeltester, qapp):
    phrases, synonyms = PhrasesModel(), SynonymsModel()
    phrases.set_lines(LINES, CLASSES)
    synonyms.set_groups(GROUPS)
    qtmodeltester.check(phrases)
    qtmodeltester.check(synonyms)


def test_that_the_most_frequent_come_first_until_a_person_sorts(qapp):
    model = PhrasesModel()
    model.set_lines(LINES, CLASSES)
    assert phrases_of(model) == ["a horse", "a dog", "a <b>brown</b> dog", "the grass"]
    model.sort(PhraseColumn.PHRASE, Qt.SortOrder.AscendingOrder)
    assert phrases_of(model)[0] == "a <b>brown</b> dog"
    model.sort(PhraseColumn.CLASS, Qt.SortOrder.DescendingOrder)
    assert phrases_of(model)[0] == "a dog"
    model.sort(PhraseColumn.REJECTED, Qt.SortOrder.DescendingOrder)
    assert phrases_of(model)[:2] == ["a horse", "a dog"]


def test_that_words_filter_and_a_phrase_that_was_just_mapped_stays_until_then(qapp):
    model = PhrasesModel()
    model.set_lines(LINES, CLASSES)
    model.set_filter("DOG a", is_unmapped_only=True)
    assert phrases_of(model) == ["a <b>brown</b> dog"]
    model.choose(["a <b>brown</b> dog"], 1)
    assert phrases_of(model) == ["a <b>brown</b> dog"]
    model.set_filter("", is_unmapped_only=True)
    assert phrases_of(model) == ["a horse", "the grass"]


def test_that_what_is_on_disk_is_no_choice(qapp):
    model = PhrasesModel()
    model.set_lines(LINES, CLASSES)
    model.choose(["a dog", "a horse"], 1)
    assert dict(model.chosen) == {"a horse": 1}
    model.choose(["a dog"], None)
    assert model.index(1, PhraseColumn.CLASS).data() == "no class"
    model.choose(["a dog"], 1)
    assert "a dog" not in model.chosen


def test_that_digits_map_the_selected_phrases_to_the_first_classes_in_use(sheet, qtbot):
    qtbot.keyClick(sheet.table, Qt.Key.Key_Down, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(sheet.table, Qt.Key.Key_2)
    assert sheet.wishes == PhraseWishes({"a horse": 2, "a dog": 2}, {})
    qtbot.keyClick(sheet.table, Qt.Key.Key_3)  # the third in use; the retired one has no digit
    assert sheet.wishes.classes == {"a horse": 4, "a dog": 4}
    qtbot.keyClick(sheet.table, Qt.Key.Key_9)  # there is none
    assert sheet.wishes.classes == {"a horse": 4, "a dog": 4}
    assert sheet.sentence == "2 phrases mapped anew. Nothing is changed before you apply it."


def test_that_a_class_is_written_and_completed(sheet, qtbot):
    qtbot.keyClick(sheet.table, Qt.Key.Key_Return)
    assert sheet.class_line.hasFocus()
    sheet.class_line.setText("hors")  # typed, it would open the list, for which offscreen has no keyboard to grab
    qtbot.keyClick(sheet.class_line, Qt.Key.Key_Return)
    assert sheet.wishes.classes == {"a horse": 2}
    assert sheet.table.hasFocus()
    assert sheet.isVisible()  # Enter has not closed it
    qtbot.keyClick(sheet.table, Qt.Key.Key_Delete)
    assert not sheet.wishes


def test_that_an_unknown_class_maps_nothing(sheet, qtbot):
    qtbot.keyClick(sheet.table, Qt.Key.Key_Return)
    sheet.class_line.setText("unicorn")
    qtbot.keyClick(sheet.class_line, Qt.Key.Key_Return)
    assert not sheet.wishes
    assert not sheet._apply.isEnabled()


def test_that_the_filter_waits_for_the_typing_to_end(sheet, qtbot):
    qtbot.keyClicks(sheet.words, "horse")
    qtbot.waitUntil(lambda: phrases_of(sheet.phrases) == ["a horse"])
    assert sheet.table.selected_phrases == ["a horse"]


def test_that_the_one_that_is_kept_leads_its_group_and_has_no_box_to_tick(qapp):
    model = SynonymsModel()
    model.set_groups(GROUPS)
    assert [model.phrase(row) for row in range(5)] == ["a dog", "dogs", "a puppy", "a horse", "horses"]
    assert model.index(0, SynonymColumn.BECOMES).data() == "kept"
    assert model.index(0, SynonymColumn.PHRASE).data(Qt.ItemDataRole.CheckStateRole) is None
    model.tick(0, True)
    assert not model.merges()


def test_that_another_may_be_kept_and_what_was_ticked_turns_round(qapp):
    model = SynonymsModel()
    model.set_groups(GROUPS)
    model.tick(1, True)
    assert model.merges() == {"dogs": "a dog"}
    model.keep(1)
    assert model.merges() == {"a dog": "dogs"}
    model.tick_group(0)
    assert model.merges() == {"a dog": "dogs", "a puppy": "dogs"}
    model.tick_group(2)
    assert not model.merges()


def test_that_synonyms_are_merged_by_keys_alone_and_all_is_one_wish(sheet, qtbot):
    qtbot.keyClick(sheet.table, Qt.Key.Key_1)
    sheet.show_merge()
    table = sheet.synonym_table
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Space)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    qtbot.keyClick(table, Qt.Key.Key_G)
    assert sheet.sentence.startswith("1 phrase mapped anew, 2 phrases merged.")
    with qtbot.waitSignal(sheet.apply_wanted) as wanted:
        qtbot.keyClick(table, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert wanted.args[0] == PhraseWishes({"a horse": 1}, {"dogs": "a dog", "horses": "a horse"})
    assert sheet.isHidden()


def test_that_a_box_is_ticked_with_the_mouse_as_with_the_keys(qapp):
    model = SynonymsModel()
    model.set_groups(GROUPS)
    assert model.setData(model.index(4, 0), Qt.CheckState.Checked.value, Qt.ItemDataRole.CheckStateRole)
    assert model.merges() == {"horses": "a horse"}
    assert not model.setData(model.index(4, 1), "x")


def test_that_escape_asks_for_nothing(sheet, qtbot):
    asked = []
    sheet.apply_wanted.connect(asked.append)
    qtbot.keyClick(sheet.table, Qt.Key.Key_1)
    qtbot.keyClick(sheet.table, Qt.Key.Key_Escape)
    assert sheet.isHidden()
    assert not asked


def test_that_no_phrases_are_said(qtbot):
    made = PhraseSheet()
    qtbot.addWidget(made)
    made.show_phrases((), CLASSES, ())
    assert made._title.text() == "No phrases yet: propose on some images first."
    assert made._merge_hint.text().startswith("No two phrases")


def test_that_phrases_are_shown_as_they_are(sheet):
    row = phrases_of(sheet.phrases).index("a <b>brown</b> dog")
    index = sheet.phrases.index(row, PhraseColumn.PHRASE)
    assert index.data() == "a <b>brown</b> dog"
    assert "&lt;b&gt;" in index.data(Qt.ItemDataRole.ToolTipRole)

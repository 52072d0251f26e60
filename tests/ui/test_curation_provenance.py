"""Where a region comes from: the caption with its phrases, walked and clicked, and edited in place."""

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QTextCursor

from locstudio.ui import theme
from locstudio.ui.curation.caption_view import PhraseAt, _units
from locstudio.ui.curation.provenance_panel import ProvenancePanel, ShownProvenance, Step, StepsModel

TEXT = "A <b>dog</b> 🎾 chases a red ball"


def at(words, key, is_current=False):
    start = TEXT.index(words)
    return PhraseAt(start, start + len(words), key, is_current)


SHOWN = ShownProvenance(
    name="a red ball",
    origin="Proposed, then edited",
    image_id=1,
    caption_id=9,
    caption=TEXT,
    phrases=(at("dog", "run:1"), at("a red ball", "run:2", True)),
    facts=(("Detector", "cloc-lite"), ("Score", "0.41")),
    steps=(Step("today", "Move box"), Step("yesterday", "Accept <i>box</i>")),
)


@pytest.fixture
def panel(qtbot):
    made = ProvenancePanel()
    qtbot.addWidget(made)
    made.resize(340, 620)
    with qtbot.waitExposed(made):
        made.show()
    made.show_provenance(SHOWN)
    return made


def marked(panel):
    """What is marked in the caption, with what is filled."""
    view = panel.caption
    return [
        (mark.cursor.selectedText(), mark.format.background().color().name())
        for mark in view.extraSelections()
        if mark.cursor.hasSelection()
    ]


def test_that_the_model_of_steps_keeps_qts_promises(qtmodeltester, qapp):
    model = StepsModel()
    model.set_steps(SHOWN.steps)
    qtmodeltester.check(model)


def test_that_markup_is_text_and_the_phrases_stand_where_they_are_behind_a_wide_character(panel):
    assert panel.caption.toPlainText() == TEXT
    words = [text for text, _ in marked(panel)]
    assert words == ["dog", "a red ball"]
    assert dict(marked(panel))["a red ball"] == theme.current().accent
    assert _units("🎾") == 2


def test_that_a_click_on_another_phrase_wants_its_box(panel, qtbot):
    view = panel.caption
    cursor = QTextCursor(view.document())
    cursor.setPosition(TEXT.index("dog") + 1)
    where = view.cursorRect(cursor).center()
    with qtbot.waitSignal(panel.item_wanted) as wanted:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    assert wanted.args == ["run:1"]
    with qtbot.assertNotEmitted(panel.item_wanted):
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(8, 8))


def test_that_phrases_are_walked_through_by_key_and_entered(panel, qtbot):
    view = panel.caption
    assert "Phrases with boxes: dog, a red ball" in view.accessibleDescription()
    qtbot.keyClick(view, Qt.Key.Key_Right)
    assert view.pointed == "run:1"
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.pointed == "run:2"
    qtbot.keyClick(view, Qt.Key.Key_Right)
    with qtbot.waitSignal(panel.item_wanted) as wanted:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert wanted.args == ["run:1"]


def test_that_the_caption_is_edited_in_place_and_saved_with_one_key(panel, qtbot):
    view = panel.caption
    qtbot.keyClick(view, Qt.Key.Key_F2)
    assert panel.is_editing
    assert not marked(panel)  # the places mean the text as it was
    qtbot.keyClicks(view, " <3")
    with qtbot.waitSignal(panel.caption_saved) as saved:
        qtbot.keyClick(view, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    assert saved.args == [9, TEXT + " <3"]
    assert not panel.is_editing


def test_that_escape_forgets_and_an_unchanged_or_empty_text_is_not_saved(panel, qtbot):
    view = panel.caption
    with qtbot.assertNotEmitted(panel.caption_saved):
        view.edit()
        qtbot.keyClicks(view, "!!")
        qtbot.keyClick(view, Qt.Key.Key_Escape)
        assert view.toPlainText() == TEXT
        view.edit()
        view.save()
        view.edit()
        view.selectAll()
        qtbot.keyClick(view, Qt.Key.Key_Delete)
        view.save()
    assert view.toPlainText() == TEXT
    assert len(marked(panel)) == 2


def test_that_typed_words_are_not_lost_when_she_turns_elsewhere(panel, qtbot):
    view = panel.caption
    view.edit()
    qtbot.keyClicks(view, " too")
    with qtbot.waitSignal(panel.caption_saved) as saved:
        panel._list.setFocus()
    assert saved.args[1].endswith(" too")


def test_that_a_press_of_save_saves_once(panel, qtbot):
    told = []
    panel.caption_saved.connect(lambda *args: told.append(args))
    qtbot.mouseClick(panel._edit, Qt.MouseButton.LeftButton)
    qtbot.keyClicks(panel.caption, " too")
    qtbot.mouseClick(panel._save, Qt.MouseButton.LeftButton)
    assert len(told) == 1


def test_that_newlines_and_marks_of_direction_move_no_phrase(panel):
    text = "a\r\ncat‮ sits\non a mat"
    start = text.index("a mat")
    panel.show_provenance(
        ShownProvenance("a mat", "Imported", 1, 3, text, (PhraseAt(start, start + 5, "region:1", True),))
    )
    assert [words for words, _ in marked(panel)] == ["a mat"]


def test_that_facts_origin_and_history_are_said(panel):
    assert panel.fact("Detector") == "cloc-lite"
    assert panel._origin.text() == "Proposed, then edited"
    assert panel._steps.index(1, 0).data() == "Accept <i>box</i>"
    assert "&lt;i&gt;" in panel._steps.index(1, 0).data(Qt.ItemDataRole.ToolTipRole)


def test_that_a_region_without_caption_or_history_says_so(panel):
    panel.show_provenance(ShownProvenance("", "Drawn by a person", 1))
    assert panel._name.text() == "No phrase"
    assert panel.caption.isHidden()
    assert panel._edit.isHidden()
    assert not panel._no_caption.isHidden()
    assert not panel._no_steps.isHidden()


def test_that_nothing_chosen_is_said(panel):
    panel.clear()
    assert panel.shown_now is None
    assert panel._pages.currentIndex() == 0


def test_that_what_only_a_run_knows_can_not_be_edited_where_the_project_is_read_only(panel):
    panel.show_provenance(ShownProvenance("a", "Proposed", 1, 0, "a cat", can_edit=False))
    assert panel._edit.isHidden()

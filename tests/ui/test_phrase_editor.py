"""The line at the box: what it suggests, and that it always ends in exactly one answer."""

import time

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from locstudio.domain.regions import LabelClass
from locstudio.ui.canvas.phrase_editor import MAX_PHRASES, Completer, PhraseEditor

PHRASES = [("a red car", 5), ("a dog on a sofa", 9), ("red umbrella", 7), ("two dogs", 2), ("<b>bold</b> dog", 1)]


@pytest.fixture
def editor(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    parent.resize(800, 600)
    parent.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    made = PhraseEditor(parent)
    with qtbot.waitExposed(parent):
        parent.show()
    parent.activateWindow()
    made.set_phrases(PHRASES)
    made.set_classes(
        [LabelClass(1, "dog", "#ff8800"), LabelClass(2, "old", "#888", True), LabelClass(3, "cat", "#00f")]
    )
    made.answers = []
    made.accepted.connect(lambda phrase, class_id: made.answers.append((phrase, class_id)))
    made.cancelled.connect(lambda: made.answers.append(None))
    made.parent_kept = parent
    return made


def rows(editor: PhraseEditor) -> list[str]:
    return [editor.suggestions.item(row).text() for row in range(editor.suggestions.count())]


def test_that_beginnings_come_before_fragments_and_the_used_before_the_rare():
    completer = Completer()
    completer.set_phrases(PHRASES)
    assert completer.suggestions("red") == ["red umbrella", "a red car"]
    assert completer.suggestions("DOG") == ["a dog on a sofa", "two dogs", "<b>bold</b> dog"]
    assert completer.suggestions("") == ["a dog on a sofa", "red umbrella", "a red car", "two dogs", "<b>bold</b> dog"]


def test_that_a_slip_of_the_finger_still_finds():
    completer = Completer()
    completer.set_phrases(PHRASES)
    assert completer.suggestions("umbrela") == ["red umbrella"]
    assert completer.suggestions("zzz") == []


def test_that_twenty_thousand_phrases_are_searched_between_two_keys():
    completer = Completer()
    completer.set_phrases([(f"phrase number {n} of a thing", n) for n in range(MAX_PHRASES + 500)])
    before = time.process_time()
    assert completer.suggestions("number 7")
    completer.suggestions("thimg of")
    assert time.process_time() - before < 0.5
    assert completer.suggestions("number 499 ") != ["phrase number 499 of a thing"]  # the rarest were left out


def test_that_enter_accepts_and_escape_cancels(editor):
    for which, expected in ((Qt.Key.Key_Return, ("a kite", None)), (Qt.Key.Key_Escape, None)):
        editor.open_at(QRect(100, 100, 50, 50), "", None)
        QTest.keyClicks(editor.line, "a kite")
        QTest.keyClick(editor.line, which)
        assert editor.answers[-1] == expected
        assert editor.isHidden()
    assert len(editor.answers) == 2


def test_that_the_last_phrase_is_offered_and_typing_replaces_it(editor):
    editor.open_at(QRect(100, 100, 50, 50), "", None, "remembered")
    assert editor.line.text() == "remembered"
    QTest.keyClicks(editor.line, "new")
    editor.accept()
    assert editor.answers == [("new", None)]


def test_that_what_was_only_offered_does_not_count_when_she_turns_away(editor):
    editor.open_at(QRect(100, 100, 50, 50), "", None, "remembered")
    editor.leave()
    editor.open_at(QRect(100, 100, 50, 50), "", None, "remembered")
    QTest.keyClicks(editor.line, "typed")
    editor.leave()
    assert editor.answers == [None, ("typed", None)]


def test_that_suggestions_follow_the_typing(editor, qtbot):
    editor.open_at(QRect(100, 100, 50, 50), "", None)
    QTest.keyClicks(editor.line, "red")
    qtbot.waitUntil(lambda: rows(editor) == ["red umbrella", "a red car"], timeout=2000)
    QTest.keyClick(editor.line, Qt.Key.Key_Down)
    QTest.keyClick(editor.line, Qt.Key.Key_Tab)
    QTest.keyClick(editor.line, Qt.Key.Key_Return)
    assert editor.answers == [("a red car", None)]


def test_that_a_click_takes_a_suggestion(editor):
    editor.open_at(QRect(100, 100, 50, 50), "", None)
    place = editor.suggestions.visualItemRect(editor.suggestions.item(1)).center()
    QTest.mouseClick(editor.suggestions.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert editor.answers == [("red umbrella", None)]


def test_that_alt_and_digit_choose_the_class(editor):
    editor.open_at(QRect(100, 100, 50, 50), "x", 1)
    QTest.keyClick(editor.line, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    QTest.keyClicks(editor.line, "3 dogs")
    editor.accept()
    assert editor.answers == [("3 dogs", 3)]


def test_that_markup_is_shown_literally(editor):
    editor.open_at(QRect(100, 100, 50, 50), "<h1>x</h1>", None)
    assert "<b>bold</b> dog" in rows(editor)
    assert editor.line.displayText() == "<h1>x</h1>"
    # An item view paints plain text, unless a delegate of its own says otherwise: markup would change the row's height.
    heights = {editor.suggestions.sizeHintForRow(row) for row in range(editor.suggestions.count())}
    assert len(heights) == 1


@pytest.mark.parametrize("box", [QRect(0, 0, 10, 10), QRect(700, 500, 90, 90), QRect(-500, -500, 2000, 2000)])
def test_that_it_opens_inside_the_window_wherever_the_box_is(editor, box):
    editor.open_at(box, "", None)
    assert editor.parent_kept.rect().contains(editor.geometry())

"""Names and phrases from outside are shown literally."""

from PySide6.QtCore import Qt

from locstudio.ui import plain_text


def test_that_a_tip_shows_markup_as_text():
    assert "<b>" not in plain_text.tip("<b>x</b>")
    assert "\n" not in plain_text.tip("a\nb")


def test_that_a_label_never_guesses_at_markup(qtbot):
    label = plain_text.label("<h1>x</h1>")
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText


def test_that_an_ampersand_underlines_nothing():
    assert plain_text.action_text("salt & pepper") == "salt && pepper"

"""Names and phrases from outside are shown literally."""

import pytest
from PySide6.QtCore import Qt

from locstudio.ui import plain_text


@pytest.mark.parametrize(
    ("raw", "expected"),
    [("a\nb", "a\u240ab"), ("caf\udce9", "caf\ufffd"), ("plain é 猫 🐈", "plain é 猫 🐈"), ("\x1b[0m", "\u241b[0m")],
)
def test_that_a_name_becomes_one_line_that_can_be_drawn(raw, expected):
    assert plain_text.shown(raw) == expected


def test_that_a_tip_shows_markup_as_text():
    assert "<b>" not in plain_text.tip("<b>x</b>")


def test_that_a_label_never_guesses_at_markup(qtbot):
    label = plain_text.label("<h1>x</h1>")
    qtbot.addWidget(label)
    assert label.textFormat() == Qt.TextFormat.PlainText


def test_that_an_ampersand_underlines_nothing():
    assert plain_text.action_text("salt & pepper") == "salt && pepper"

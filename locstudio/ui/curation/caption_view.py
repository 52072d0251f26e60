"""A caption with its phrases marked where they stand: walked through by key, chosen by click, edited in place."""

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFocusEvent, QKeyEvent, QMouseEvent, QResizeEvent, QTextCharFormat, QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QSizePolicy, QTextEdit, QWidget

from locstudio.ui import theme

_MAX_LINES = 9
_MARGIN = 14
MAX_LENGTH = 4000


@dataclass(frozen=True, slots=True)
class PhraseAt:
    """A phrase of a caption that has a box.  ``start`` and ``end`` are a half-open character range; ``key`` the box."""

    start: int
    end: int
    key: str
    is_current: bool = False


class CaptionView(QPlainTextEdit):
    """Shows one caption as it is, never as markup.  The phrase of the current box is filled, the others underlined.

    Signals:
        phrase_chosen: the key of the box behind a phrase that was clicked, or walked to and entered.
        saved: the new text; Ctrl+Return while it is edited.
        editing_changed: whether the caption is being edited.
    """

    phrase_chosen = Signal(str)
    saved = Signal(str)
    editing_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._text = ""
        self._phrases: tuple[PhraseAt, ...] = ()
        self._pointed: PhraseAt | None = None
        self.setReadOnly(True)
        self.setTabChangesFocus(True)
        self.setAccessibleName("Caption")
        self.setUndoRedoEnabled(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAsNeeded)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setMouseTracking(True)
        self.document().setDocumentMargin(4)
        self.textChanged.connect(self._fit)
        theme.notifier.changed.connect(self._mark)

    def set_caption(self, text: str, phrases: Sequence[PhraseAt]) -> None:
        """Show a caption; what was being edited is forgotten."""
        self._text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
        self._phrases = tuple(sorted(phrases, key=lambda phrase: (phrase.start, -phrase.end)))
        self._pointed = None
        self._set_editing(False)
        self.setPlainText(self._text)
        self._mark()
        named = ", ".join(self._words_of(phrase) for phrase in self._phrases)
        walk = f" Phrases with boxes: {named}. Left and Right walk through them, Enter goes to the box."
        self.setAccessibleDescription(self._text + (walk if named else ""))

    @property
    def is_editing(self) -> bool:
        """Whether the person is changing the text."""
        return not self.isReadOnly()

    @property
    def pointed(self) -> str:
        """Key of the phrase that was walked to; empty for none."""
        return self._pointed.key if self._pointed else ""

    def edit(self) -> None:
        """Let the person change the text."""
        if self.is_editing or not self.isEnabled():
            return
        self._pointed = None
        self._set_editing(True)
        self.moveCursor(QTextCursor.MoveOperation.End)
        self.setFocus()
        self._mark()

    def save(self) -> None:
        """Ask for the text as it stands; nothing is asked for where it is unchanged or empty."""
        text = self.toPlainText().strip()[:MAX_LENGTH]
        if not self.is_editing:
            return
        if not text or text == self._text.strip():
            self.cancel()
            return
        self._set_editing(False)
        self.saved.emit(text)

    def cancel(self) -> None:
        """Forget what was typed."""
        self._set_editing(False)
        self.setPlainText(self._text)
        self._mark()

    def _set_editing(self, is_editing: bool) -> None:
        if is_editing != self.is_editing:
            self.setReadOnly(not is_editing)
            self.setCursorWidth(1)
            self.editing_changed.emit(is_editing)

    # marks ------------------------------------------------------------------------------------------------------

    def _words_of(self, phrase: PhraseAt) -> str:
        return self._text[phrase.start : phrase.end]

    def _mark(self) -> None:
        if self.is_editing:  # the ranges mean the text as it was
            self.setExtraSelections([])
            return
        look = theme.current()
        marks = []
        for phrase in self._phrases:
            style = QTextCharFormat()
            if phrase.is_current:
                style.setBackground(QColor(look.accent))
                style.setForeground(QColor(look.accent_text))
            else:
                style.setForeground(QColor(look.accent))
                style.setFontUnderline(True)
            if phrase == self._pointed and not phrase.is_current:
                style.setBackground(QColor(look.selection))
                style.setForeground(QColor(look.text))
            marks.append(self._selection(phrase, style))
        self.setExtraSelections(marks)

    def _selection(self, phrase: PhraseAt, style: QTextCharFormat) -> QTextEdit.ExtraSelection:
        made = QTextEdit.ExtraSelection()
        cursor = QTextCursor(self.document())
        last = self.document().characterCount() - 1
        cursor.setPosition(min(_units(self._text[: phrase.start]), last))
        cursor.setPosition(min(_units(self._text[: phrase.end]), last), QTextCursor.MoveMode.KeepAnchor)
        made.cursor, made.format = cursor, style
        return made

    def _phrase_at(self, event: QMouseEvent) -> PhraseAt | None:
        """The shortest phrase under the mouse."""
        where = event.position().toPoint()
        place = self.cursorForPosition(where)
        rect = self.cursorRect(place)
        if self.is_editing or not rect.adjusted(-14, -2, 14, 2).contains(where):
            return None
        at = place.position()
        hit = [p for p in self._phrases if _units(self._text[: p.start]) <= at < _units(self._text[: p.end])]
        return min(hit, key=lambda phrase: phrase.end - phrase.start, default=None)

    # mouse and keys ---------------------------------------------------------------------------------------------

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        shape = Qt.CursorShape.PointingHandCursor if self._phrase_at(event) else Qt.CursorShape.IBeamCursor
        self.viewport().setCursor(shape)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        phrase = self._phrase_at(event)
        is_click = event.button() == Qt.MouseButton.LeftButton and not self.textCursor().hasSelection()
        if phrase is not None and is_click:
            self.phrase_chosen.emit(phrase.key)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if self.is_editing or self._phrase_at(event) is not None:
            super().mouseDoubleClickEvent(event)
        else:
            self.edit()

    def event(self, event: QEvent) -> bool:
        """While the text is edited, and for the keys that walk through phrases, nothing is the window's shortcut."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            walks = event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Return, Qt.Key.Key_Enter)
            if self.is_editing or (walks and not event.modifiers()):
                event.accept()
                return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Ctrl+Return saves, Esc forgets; while nothing is edited, Left and Right walk and Enter chooses."""
        is_return = event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter)
        is_control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
        if self.is_editing:
            if is_return and is_control:
                self.save()
            elif event.key() == Qt.Key.Key_Escape:
                self.cancel()
            else:
                super().keyPressEvent(event)
        elif event.key() == Qt.Key.Key_F2 or (is_control and event.key() == Qt.Key.Key_E):
            self.edit()
        elif event.key() in (Qt.Key.Key_Left, Qt.Key.Key_Right) and self._phrases:
            self._walk(1 if event.key() == Qt.Key.Key_Right else -1)
        elif is_return and self._pointed is not None:
            self.phrase_chosen.emit(self._pointed.key)
        else:
            super().keyPressEvent(event)

    def _walk(self, by: int) -> None:
        if self._pointed in self._phrases:
            row = (self._phrases.index(self._pointed) + by) % len(self._phrases)
        else:
            row = 0 if by > 0 else len(self._phrases) - 1
        self._pointed = self._phrases[row]
        self._mark()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        """What was typed counts when the person turns elsewhere: nothing typed is lost."""
        super().focusOutEvent(event)
        kept = (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason)
        if self.is_editing and event.reason() not in kept:
            self.save()

    # size -------------------------------------------------------------------------------------------------------

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def sizeHint(self) -> QSize:
        return QSize(200, self.minimumHeight())

    def _fit(self) -> None:
        """As high as its text, up to some lines."""
        lines = min(max(int(self.document().size().height()), 1), _MAX_LINES)
        height = lines * self.fontMetrics().lineSpacing() + _MARGIN + 6
        if height != self.height():
            self.setFixedHeight(height)


def _units(text: str) -> int:
    """Length in UTF-16, which Qt counts in."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2

"""A line at the box in which its phrase is written, with completions and the classes by digit."""

from collections.abc import Sequence

from PySide6.QtCore import QCoreApplication, QEvent, QModelIndex, QObject, QPoint, QRect, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from locstudio.domain.regions import LabelClass
from locstudio.ui.canvas.chips import one_line
from locstudio.ui.canvas.signs import class_icon
from locstudio.ui.plain_text import label

MAX_PHRASES = 20_000
MAX_SUGGESTIONS = 7
MAX_CLASS_DIGITS = 9
SUGGEST_DELAY_MS = 40
MIN_LIKENESS = 70.0  # of 100: below this a suggestion surprises more than it helps
WIDTH = 340
CLASS_COLUMNS = 3

translate = QCoreApplication.translate


class Completer:
    """Phrases of the collection, found by any fragment of them; the more used come first."""

    def __init__(self) -> None:
        self._phrases: list[str] = []
        self._folded: list[str] = []

    def set_phrases(self, phrases: Sequence[tuple[str, int]]) -> None:
        """Take phrases with the number of their uses; beyond ``MAX_PHRASES`` the rarest are left out."""
        used = sorted(phrases, key=lambda pair: -pair[1])[:MAX_PHRASES]
        self._phrases = [phrase for phrase, _ in used]
        self._folded = [phrase.casefold() for phrase in self._phrases]

    def suggestions(self, fragment: str, limit: int = MAX_SUGGESTIONS) -> list[str]:
        """Phrases that begin with the fragment, then those that contain it, then those that resemble it."""
        wanted = fragment.strip().casefold()
        if not wanted:
            return self._phrases[:limit]
        inside = [row for row, phrase in enumerate(self._folded) if wanted in phrase]
        rows = sorted(inside, key=lambda row: not self._folded[row].startswith(wanted))[:limit]
        if len(rows) < limit and len(wanted) >= 3:
            # Here and not above: 2 MiB that the window can be there without.
            from rapidfuzz import fuzz, process

            alike = process.extract(
                wanted, self._folded, scorer=fuzz.partial_ratio, limit=limit, score_cutoff=MIN_LIKENESS
            )
            rows += [row for _, _, row in alike if row not in set(rows)]
        return [self._phrases[row] for row in rows[:limit]]


class PhraseEditor(QFrame):
    """Opens over the canvas at a box.  Enter accepts, Esc cancels, Alt+1-9 chooses the class, Up and Down a suggestion.

    Signals:
        accepted: the phrase (str) and the class's identity, or None where the class was not touched.
        cancelled: closed without a result.

    Exactly one of the two is emitted per ``open_at``.
    """

    accepted = Signal(str, object)
    cancelled = Signal()

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        self.setAutoFillBackground(True)
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.line = QLineEdit(self)
        self.line.setAccessibleName(translate("Canvas", "Phrase of the box"))
        self.line.setPlaceholderText(translate("Canvas", "What is in the box?"))
        self.line.setMaxLength(500)
        self.suggestions = _plain_list(self, translate("Canvas", "Suggested phrases"))
        self.classes = _plain_list(self, translate("Canvas", "Classes"))
        self.classes.setFlow(QListWidget.Flow.LeftToRight)
        self.classes.setWrapping(True)
        # A click beside the line would else give the focus to the canvas behind, and so close the editor.
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        self.setFocusProxy(self.line)
        self._hint = label(translate("Canvas", "Alt + digit chooses the class"), "muted", self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        for widget in (self.line, self.suggestions, self._hint, self.classes):
            layout.addWidget(widget)
        self._completer = Completer()
        self._labels: list[LabelClass] = []
        self._class_id: int | None = None
        self._is_class_chosen = False
        self._opened_with = ""
        self._delay = QTimer(self, singleShot=True, interval=SUGGEST_DELAY_MS)
        self._delay.timeout.connect(self._suggest)
        self.line.textEdited.connect(lambda _text: self._delay.start())
        self.line.installEventFilter(self)
        self.suggestions.clicked.connect(self._on_suggestion_clicked)
        self.classes.clicked.connect(lambda index: self._choose_class(index.row()))
        self.hide()

    def set_phrases(self, phrases: Sequence[tuple[str, int]]) -> None:
        """Take the collection's phrases with the number of their uses."""
        self._completer.set_phrases(phrases)

    def set_classes(self, classes: Sequence[LabelClass]) -> None:
        """Take the classes; the first nine in use have digits."""
        self._labels = [known for known in classes if not known.is_retired][:MAX_CLASS_DIGITS]

    def open_at(self, box: QRect, phrase: str, class_id: int | None, remembered: str = "") -> None:
        """Open beside a box (in the parent's coordinates).

        Args:
            box: The box on the screen.
            phrase: What the box says now.
            class_id: Its class now.
            remembered: Offered, and selected so that typing replaces it, when the box says nothing yet.
        """
        self._class_id, self._is_class_chosen, self._opened_with = class_id, False, phrase
        self.line.setText(phrase or remembered)
        self.line.selectAll()
        self._fill_classes()
        self._suggest(all_phrases=True)
        self.move(self._place_beside(box))
        self.show()
        self.raise_()
        self.line.setFocus(Qt.FocusReason.PopupFocusReason)

    def accept(self) -> None:
        """Close with what is written."""
        if self.isHidden():
            return
        self._close()
        self.accepted.emit(self.line.text().strip(), self._class_id if self._is_class_chosen else None)

    def cancel(self) -> None:
        """Close with nothing."""
        if self.isHidden():
            return
        self._close()
        self.cancelled.emit()

    def leave(self) -> None:
        """Close because the person has turned elsewhere: what she typed counts, what was only offered does not."""
        is_touched = self._is_class_chosen or (self.line.isModified() and self.line.text() != self._opened_with)
        self.accept() if is_touched else self.cancel()

    def _close(self) -> None:
        self._delay.stop()
        has_focus = self.line.hasFocus()
        self.hide()
        parent = self.parentWidget()
        if parent is not None and has_focus:
            parent.setFocus(Qt.FocusReason.PopupFocusReason)

    def _place_beside(self, box: QRect) -> QPoint:
        parent = self.parentWidget()
        assert parent is not None
        room = parent.rect()
        self.setFixedWidth(min(WIDTH, max(room.width() - 8, 120)))
        self.adjustSize()
        size = self.sizeHint().boundedTo(room.size())
        right = box.left() + box.width() + 10
        if right + self.width() <= room.width():
            x, y = right, box.top()
        elif box.left() - 10 - self.width() >= 0:
            x, y = box.left() - 10 - self.width(), box.top()
        else:
            x, y = box.left(), box.top() + box.height() + 10
        return QPoint(
            min(max(x, 4), max(room.width() - self.width() - 4, 4)),
            min(max(y, 4), max(room.height() - size.height() - 4, 4)),
        )

    def _fill_classes(self) -> None:
        self.classes.clear()
        for digit, known in enumerate(self._labels, start=1):
            item = QListWidgetItem(class_icon(known.color), f"{digit}  {one_line(known.name)}")
            self.classes.addItem(item)
            if known.id == self._class_id:
                self.classes.setCurrentItem(item)
        self._hint.setVisible(bool(self._labels))
        self.classes.setVisible(bool(self._labels))
        cell = QSize((WIDTH - 22) // CLASS_COLUMNS, max(self.classes.sizeHintForRow(0), 1))
        self.classes.setGridSize(cell)
        for row in range(self.classes.count()):
            self.classes.item(row).setSizeHint(cell)
        rows = -(-len(self._labels) // CLASS_COLUMNS)
        self.classes.setFixedHeight(cell.height() * rows + 2 * self.classes.frameWidth())

    def _suggest(self, all_phrases: bool = False) -> None:
        found = self._completer.suggestions("" if all_phrases else self.line.text())
        self.suggestions.clear()
        for phrase in found:
            item = QListWidgetItem(one_line(phrase))
            item.setData(Qt.ItemDataRole.UserRole, phrase)
            self.suggestions.addItem(item)
        _fit_height(self.suggestions)
        self.adjustSize()

    def _choose_class(self, row: int) -> None:
        if 0 <= row < len(self._labels):
            self._class_id, self._is_class_chosen = self._labels[row].id, True
            self.classes.setCurrentRow(row)

    def _step_suggestion(self, by: int) -> None:
        count = self.suggestions.count()
        if count == 0:
            return
        row = self.suggestions.currentRow()
        row = (row + by) % count if row >= 0 else (0 if by > 0 else count - 1)
        self.suggestions.setCurrentRow(row)
        self.line.setText(self.suggestions.item(row).data(Qt.ItemDataRole.UserRole))
        self.line.setModified(True)

    def _on_suggestion_clicked(self, index: QModelIndex) -> None:
        self.line.setText(index.data(Qt.ItemDataRole.UserRole))
        self.accept()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Read the keys of the line before the line does, and close when the person turns elsewhere."""
        if watched is self.line and isinstance(event, QFocusEvent) and event.lostFocus():
            if event.reason() not in (Qt.FocusReason.ActiveWindowFocusReason, Qt.FocusReason.PopupFocusReason):
                self.leave()
        elif watched is self.line and isinstance(event, QKeyEvent):
            if event.type() == QEvent.Type.ShortcutOverride:
                event.accept()  # while she types, no key is a shortcut of the window
                return True
            if event.type() == QEvent.Type.KeyPress and self._take_key(event):
                return True
        return super().eventFilter(watched, event)

    def _take_key(self, event: QKeyEvent) -> bool:
        key = event.key()
        digit = key - ord("0")
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.accept()
        elif key == Qt.Key.Key_Escape:
            self.cancel()
        elif key in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            self._step_suggestion(1 if key == Qt.Key.Key_Down else -1)
        elif key in (Qt.Key.Key_Tab, Qt.Key.Key_Backtab):
            self._step_suggestion(1 if key == Qt.Key.Key_Tab else -1)
        elif event.modifiers() & Qt.KeyboardModifier.AltModifier and 1 <= digit <= MAX_CLASS_DIGITS:
            self._choose_class(digit - 1)
        else:
            return False
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Keep what the line left over from reaching the canvas."""
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Keep presses beside the fields from reaching the canvas."""
        event.accept()


def _plain_list(parent: QWidget, name: str) -> QListWidget:
    view = QListWidget(parent)
    view.setAccessibleName(name)
    view.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    view.setTextElideMode(Qt.TextElideMode.ElideRight)
    view.setUniformItemSizes(True)
    return view


def _fit_height(view: QListWidget) -> None:
    """Exactly as high as its rows; gone when there are none."""
    view.setVisible(view.count() > 0)
    row = view.sizeHintForRow(0) if view.count() else 0
    view.setFixedHeight(max(row, 1) * max(view.count(), 1) + 2 * view.frameWidth())

"""The search panel: the query, what the models see in its box, phrases that fit it, the spread of scores, the hits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QMenu,
    QProgressBar,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from locstudio.ui import theme
from locstudio.ui.gallery.picture_loader import PictureLoader
from locstudio.ui.icons import drawn
from locstudio.ui.plain_text import action_text, label, shown
from locstudio.ui.search.histogram import ScoreHistogram
from locstudio.ui.search.hits_model import HitItem, HitsModel
from locstudio.ui.search.hits_view import HitsView
from locstudio.ui.search.phrase_bars import PhraseBars
from locstudio.ui.search.region_look import RegionLook

_PREVIEW_SIDE = 60
_HINT = (
    "Draw a search box on the image (Q), choose a region and press M, or type words above.\n\n"
    "Regions of the whole collection that look alike appear here while you drag."
)
_NOTHING = "The index holds nothing to compare with."


@dataclass(frozen=True, slots=True)
class ShownResult:
    """What a search has found: hits best first, how their scores are spread, and the cut that fits this query.

    ``counts`` are the bars of the histogram from ``low`` to ``high``.
    """

    hits: tuple[HitItem, ...]
    cut: float
    counts: tuple[int, ...]
    low: float
    high: float

    def num_above(self, cut: float) -> int:
        """How many of the hits reach a cut."""
        return sum(hit.score >= cut for hit in self.hits)


class SearchPanel(QFrame):
    """Shows one search at a time.

    Signals:
        hit_chosen: a ``HitItem`` to go to.
        more_wanted: a ``HitItem`` whose like is looked for.
        phrase_chosen: words to search for.
        ground_wanted: find the words of the query in the open image.
        scope_changed: whether only images that pass the gallery's filter are searched.
        clear_wanted: forget the query.
        history_chosen: the number of an earlier query, as given to ``set_history``.
    """

    hit_chosen = Signal(object)
    more_wanted = Signal(object)
    phrase_chosen = Signal(str)
    ground_wanted = Signal()
    scope_changed = Signal(bool)
    clear_wanted = Signal()
    history_chosen = Signal(int)

    def __init__(
        self,
        crops: PictureLoader,
        thumbnail_of: Callable[[int], QPixmap | None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._result: ShownResult | None = None
        self._model = HitsModel(self)
        self._hits = HitsView(self._model, crops, thumbnail_of, self)
        self._hits.hit_chosen.connect(self.hit_chosen)
        self._hits.more_wanted.connect(self.more_wanted)
        self._hits.phrase_wanted.connect(self.phrase_chosen)
        self._phrases_title = label("Best phrases of the collection", "section")
        self._phrases = PhraseBars(self)
        self._phrases.phrase_chosen.connect(self.phrase_chosen)
        self._histogram = ScoreHistogram(self)
        self._histogram.cut_changed.connect(self._divide)
        self._count = label("", "section")
        self._none = label(_NOTHING, "muted")
        self._none.setWordWrap(True)
        self._hint = label(_HINT, "muted")
        self._hint.setWordWrap(True)
        self._hint.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._hint.setContentsMargins(32, 24, 32, 64)

        self._pages = QStackedWidget(self)
        self._pages.addWidget(self._hint)
        self._pages.addWidget(self._make_results())
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self._make_query())
        self.look = RegionLook(self)
        column.addWidget(self.look)
        column.addWidget(self._pages, 1)
        self.clear()

    def _make_query(self) -> QWidget:
        self._picture = QLabel(self)
        self._picture.setFixedSize(_PREVIEW_SIDE, _PREVIEW_SIDE)
        self._picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._picture.setAccessibleName("What is looked for")
        self._title = label("", "heading")
        self._title.setWordWrap(True)
        self._title.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._detail = label("", "muted")
        self._detail.setWordWrap(True)
        self._detail.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._busy = QProgressBar(self)
        self._busy.setRange(0, 0)
        self._busy.setProperty("role", "thin")
        self._busy.setAccessibleName("Searching")
        self._ground = _button("target", "Find in this image", "Mark the place in the open image that fits these words")
        self._ground.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._ground.setText("Find in this image")
        self._ground.clicked.connect(self.ground_wanted)
        self._scope = _button("filter", "Search only the images that pass the filter", "Search only filtered images")
        self._scope.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self._scope.setText("Filtered only")
        self._scope.setCheckable(True)
        self._scope.toggled.connect(self.scope_changed)
        self._scope.hide()
        self._history = _button("history", "Earlier searches", "Earlier searches")
        self._history.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._history.setMenu(QMenu(self._history))
        self._history.setEnabled(False)
        self._clear = _button("close", "Clear the search", "Clear the search")
        self._clear.clicked.connect(self.clear_wanted)
        return self._lay_out_query()

    def _lay_out_query(self) -> QWidget:
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addStretch()
        words.addWidget(self._title)
        words.addWidget(self._detail)
        choices = QHBoxLayout()
        choices.setSpacing(4)
        choices.addWidget(self._ground)
        choices.addWidget(self._scope)
        choices.addStretch()
        words.addLayout(choices)
        words.addStretch()
        buttons = QVBoxLayout()
        buttons.setSpacing(0)
        buttons.addWidget(self._clear)
        buttons.addWidget(self._history)
        buttons.addStretch()
        row = QHBoxLayout()
        row.setContentsMargins(12, 10, 8, 8)
        row.setSpacing(10)
        row.addWidget(self._picture)
        row.addLayout(words, 1)
        row.addLayout(buttons)
        query = QWidget(self)
        column = QVBoxLayout(query)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addLayout(row)
        column.addWidget(self._busy)
        return query

    def _make_results(self) -> QWidget:
        results = QWidget(self)
        column = QVBoxLayout(results)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        for widget in (self._phrases_title, self._count, self._none):
            widget.setContentsMargins(12, 4, 12, 0)
        column.addWidget(self._phrases_title)
        column.addWidget(self._phrases)
        column.addWidget(self._count)
        column.addWidget(self._histogram)
        column.addWidget(self._none)
        column.addWidget(self._hits, 1)
        return results

    def clear(self) -> None:
        """Show that nothing is looked for."""
        self.set_query("No search yet", "")
        self._clear.setEnabled(False)
        self._phrases.set_phrases(())
        self._result = None
        self._model.set_hits((), 0)
        self.set_busy(False)
        self.set_hint("")

    def set_hint(self, text: str) -> None:
        """Say in place of results why there are none; the usual invitation when ``text`` is empty."""
        self._hint.setText(text or _HINT)
        self._pages.setCurrentIndex(0)

    def set_query(self, title: str, detail: str, picture: QImage | None = None, *, can_ground: bool = False) -> None:
        """Show what is looked for: words, or a box with the picture inside it."""
        self._title.setText(shown(title))
        self._detail.setText(shown(detail))
        self._detail.setVisible(bool(detail))
        self._ground.setVisible(can_ground)
        self._clear.setEnabled(True)
        self._picture.setVisible(True)
        if picture is None or picture.isNull():
            self._picture.setPixmap(self._sign("search"))
            return
        ratio = self.devicePixelRatioF()
        side = round(_PREVIEW_SIDE * ratio)
        scaled = QPixmap.fromImage(picture).scaled(
            QSize(side, side), Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        scaled.setDevicePixelRatio(ratio)
        self._picture.setPixmap(scaled)

    def offer_scope(self, is_offered: bool) -> None:
        """Offer to search only what the gallery shows, while its filter hides something."""
        self._scope.setVisible(is_offered)
        if not is_offered:
            self._scope.setChecked(False)

    def set_detail(self, detail: str) -> None:
        """Say how many were found, and how fast."""
        self._detail.setText(shown(detail))
        self._detail.show()

    def set_busy(self, is_busy: bool) -> None:
        """Show whether an answer is on its way."""
        self._busy.setRange(0, 0 if is_busy else 1)

    def set_phrases(self, phrases: Sequence[tuple[str, float]]) -> None:
        """Show the phrases of the collection that fit best, with their scores; none hides them."""
        self._phrases.set_phrases(phrases)
        self._phrases.setVisible(bool(phrases))
        self._phrases_title.setVisible(bool(phrases))

    def show_result(self, result: ShownResult) -> None:
        """Show the nearest hits of a search, divided at its own cut."""
        self._result = result
        self._histogram.set_scores(result.counts, result.low, result.high, result.cut)
        self._model.set_hits(result.hits, result.num_above(result.cut))
        self._divide(result.cut)
        self._none.setVisible(not result.hits)
        self._pages.setCurrentIndex(1)

    def set_history(self, titles: Sequence[str]) -> None:
        """Earlier queries, newest first; ``history_chosen`` tells the number of one."""
        menu = self._history.menu()
        menu.clear()
        for number, title in enumerate(titles):
            text = title if len(title) <= 48 else f"{title[:47]}…"
            menu.addAction(action_text(text)).triggered.connect(
                lambda _=False, chosen=number: self.history_chosen.emit(chosen)
            )
        self._history.setEnabled(bool(titles))

    @property
    def hits(self) -> tuple[HitItem, ...]:
        """The hits on the screen."""
        return self._model.hits

    @property
    def phrases(self) -> tuple[tuple[str, float], ...]:
        """The phrases on the screen, with their scores."""
        return self._phrases.phrases

    @property
    def hits_view(self) -> HitsView:
        """The grid of hits, for keys of the window and for tests."""
        return self._hits

    @property
    def num_above(self) -> int:
        """How many of the hits stand out."""
        return self._model.num_above

    def _divide(self, cut: float) -> None:
        assert self._result is not None
        num_above = self._result.num_above(cut)
        self._model.set_num_above(num_above)
        self._count.setText(_stand_out(num_above, len(self._result.hits)))

    def _sign(self, name: str) -> QPixmap:
        return drawn.pixmap(name, 28, theme.current().muted)


def _stand_out(num_above: int, num_hits: int) -> str:
    if num_above == 0:
        return "Nothing stands out"
    more = "At least " if num_above == num_hits else ""
    return f"{more}{num_above} {'region stands' if num_above == 1 else 'regions stand'} out"


def _button(icon: str, name: str, tip_text: str) -> QToolButton:
    button = QToolButton()
    drawn.follow(button, icon)
    button.setAccessibleName(name)
    button.setToolTip(tip_text)
    button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    return button

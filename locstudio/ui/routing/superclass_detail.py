"""What is chosen among the superclasses, in words and numbers, with what can be done about it."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from locstudio.services.routing.graph_layout import WITHOUT
from locstudio.ui.flow_layout import FlowLayout
from locstudio.ui.plain_text import action_text, label, shown, tip
from locstudio.ui.routing.superclass_commands import KEYS, TITLES, SuperclassCommand
from locstudio.ui.routing.superclass_lines import Line, LineTable
from locstudio.ui.routing.superclass_picture import GraphPicture, Group
from locstudio.ui.routing.superclass_words import (
    above_chance,
    area_sentence,
    classes_of,
    edge_sentence_of,
    percent,
    quoted,
    superclasses_of,
    than_chance,
)

_SHORT = {
    SuperclassCommand.MOVE: "Move…",
    SuperclassCommand.FOLLOW: "Move there",
    SuperclassCommand.NEW: "New superclass…",
    SuperclassCommand.TAKE_OUT: "Take out",
    SuperclassCommand.RENAME: "Name…",
    SuperclassCommand.MERGE: "Merge…",
    SuperclassCommand.RETIRE: "Retire",
    SuperclassCommand.IMAGES: "Images…",
}
_NUM_PARTNERS = 12
_HOW = f"Choose some, in the graph or in the list, and press {KEYS[SuperclassCommand.NEW][0]}: they become one."


class SuperclassDetail(QWidget):
    """Tells of one class, several, one confusion, one superclass, or of all while nothing is chosen.

    Signals:
        command_wanted: a ``SuperclassCommand``.
        images_wanted: ids of two classes: images of the first that were taken for the second.
        class_wanted: the id of a class to be chosen.
        area_wanted: the key of a superclass to be chosen.
        emptied: the lines that had the keys are gone.
    """

    command_wanted = Signal(object)
    images_wanted = Signal(int, int)
    class_wanted = Signal(int)
    area_wanted = Signal(int)
    emptied = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._title = label("", "heading", self)
        self._title.setWordWrap(True)
        self._words = label("", "muted", self)
        self._words.setWordWrap(True)
        self._row = QWidget(self)
        flow = FlowLayout(self._row)
        self._buttons: dict[SuperclassCommand, QPushButton] = {}
        for command, text in _SHORT.items():
            button = QPushButton(text, self._row)
            button.setProperty("role", "suggestion")
            button.setToolTip(tip(f"{TITLES[command].rstrip('…')} ({KEYS[command][0]})"))
            button.setAccessibleName(TITLES[command].rstrip("…"))
            button.clicked.connect(lambda _=False, chosen=command: self.command_wanted.emit(chosen))
            flow.addWidget(button)
            self._buttons[command] = button
        self._heading = label("", "section", self)
        self.table = LineTable("What it is confused with", self)
        self.table.line_opened.connect(self._open)
        self.table.command_wanted.connect(self.command_wanted)
        self._none = label("", "muted", self)
        self._none.setWordWrap(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(12, 10, 12, 8)
        column.setSpacing(8)
        for widget in (self._title, self._words, self._row, self._heading, self._none):
            column.addWidget(widget)
        column.addWidget(self.table, 1)
        column.addStretch(0)

    # what is shown ----------------------------------------------------------------------------------------------

    def show_all(self, picture: GraphPicture) -> None:
        """Tell of the whole, and which classes are tied more to another superclass than to their own."""
        groups = [group for group in picture.groups if group.key != WITHOUT]
        without = next((group for group in picture.groups if group.key == WITHOUT), None)
        kept = picture.graph.kept_share(picture.group_of)
        words = f"{superclasses_of(len(groups))} of {classes_of(len(picture.graph))}"
        if without is not None and groups:
            words += f", {len(without.class_ids)} of them in none"
        sentences = [words + "." if groups else f"{classes_of(len(picture.graph))}, and no superclass yet. {_HOW}"]
        if kept is not None and groups:
            sentences.append(
                f"{percent(kept)} of what is confused stays inside a superclass: there an expert can tell it apart."
            )
        self._say("Superclasses", " ".join(sentences), ())
        lines = [self._pull_line(picture, class_id) for class_id in picture.pulls]
        self._heading.setText("Pulled elsewhere · points above chance" if lines else "")
        self.table.set_lines(("Class", "Pulled to", "There", "Own"), lines, 2)
        self._show_table(bool(lines), "")

    def _pull_line(self, picture: GraphPicture, class_id: int) -> Line:
        pull = picture.pulls[class_id]
        target = picture.group(pull.group)
        name, where = picture.name_of(class_id), target.name if target is not None else ""
        has_own = picture.group_of.get(class_id, WITHOUT) != WITHOUT
        own = f", with its own superclass {than_chance(pull.own)}" if has_own else ""
        sentence = f"{quoted(name)} is confused with {quoted(where)} {than_chance(pull.there)}{own}."
        cells = (name, where, above_chance(pull.there), above_chance(pull.own) if has_own else "–")
        return Line(cells, sentence, "class", (class_id,))

    def show_class(self, picture: GraphPicture, class_id: int) -> None:
        """Tell of a class, and with what it is confused."""
        graph, groups = picture.graph, picture.group_of
        group = picture.group(groups.get(class_id, WITHOUT))
        place = graph.position(class_id)
        itself = graph.itself_share(class_id)
        sentences = [f"In {quoted(group.name)}." if group is not None and group.key != WITHOUT else "In no superclass."]
        if itself is None:
            sentences.append("The run has not seen it, so nothing is known of what it is confused with.")
        else:
            num = round(float(graph.totals_L[place]))
            its = "In its one image" if num <= 1 else f"In its {num:,} images, on average,"
            sentences.append(f"{its} the dense twin gave it a probability of {percent(itself)}.")
        pull = picture.pulls.get(class_id)
        target = picture.group(pull.group) if pull is not None else None
        if pull is not None and target is not None:
            has_own = group is not None and group.key != WITHOUT
            own = f", with its own superclass {than_chance(pull.own)}" if has_own else ""
            sentences.append(f"It is confused with {quoted(target.name)} {than_chance(pull.there)}{own}.")
        commands = [SuperclassCommand.MOVE, SuperclassCommand.NEW]
        commands += [SuperclassCommand.FOLLOW] if target is not None else []
        commands += [SuperclassCommand.TAKE_OUT] if group is not None and group.key != WITHOUT else []
        self._say(picture.name_of(class_id), " ".join(sentences), commands)
        if target is not None:
            self._buttons[SuperclassCommand.FOLLOW].setText(action_text(f"Move to {quoted(target.name)}"))
        lines = []
        for partner in graph.partners(class_id, _NUM_PARTNERS):
            home = picture.group(groups.get(partner.class_id, WITHOUT))
            sentence = edge_sentence_of(picture, class_id, partner.class_id)
            is_elsewhere = home is not None and home is not group and home.key != WITHOUT
            name = f"{partner.name} ({home.name})" if home is not None and is_elsewhere else partner.name
            num = picture.num_taken.get((class_id, partner.class_id), 0)
            cells = (name, percent(partner.taken_for), percent(partner.mistaken), f"{num:,}")
            lines.append(Line(cells, sentence, "confusion", (class_id, partner.class_id)))
        self._heading.setText("Most confused with · Enter shows the images" if lines else "")
        self.table.set_lines(("Class", "Taken for", "Back", "Images"), lines, 1)
        nothing = "It is confused with nothing." if itself is not None else ""
        self._show_table(bool(lines), nothing)

    def show_several(self, picture: GraphPicture, class_ids: Sequence[int]) -> None:
        """Tell of several classes: how much they are confused with each superclass."""
        names = ", ".join(quoted(picture.name_of(class_id)) for class_id in class_ids[:6])
        more = f" and {len(class_ids) - 6} more" if len(class_ids) > 6 else ""
        commands = (SuperclassCommand.MOVE, SuperclassCommand.NEW, SuperclassCommand.TAKE_OUT)
        self._say(f"{classes_of(len(class_ids))} chosen", f"{names}{more}.", commands)
        self._list_groups(picture, class_ids, None)

    def show_group(self, picture: GraphPicture, group: Group) -> None:
        """Tell of a superclass, and with which others its classes are confused."""
        commands = [SuperclassCommand.RENAME, SuperclassCommand.MERGE]
        commands += [SuperclassCommand.RETIRE] if not group.class_ids else []
        if group.key == WITHOUT:
            commands = []
        words = area_sentence(picture, group.key).split(": ", 1)[-1]
        self._say(group.name, words[:1].upper() + words[1:], commands)
        self._list_groups(picture, group.class_ids, group.key)

    def _list_groups(self, picture: GraphPicture, class_ids: Sequence[int], own: int | None) -> None:
        graph, keys = picture.graph, picture.group_of
        rows = [place for place in map(graph.position, class_ids) if place >= 0]
        groups_L = graph.groups_of(keys)
        lines = []
        for group in picture.groups:
            is_in_L = groups_L == group.key
            away = float(graph.counts_LL[rows][:, is_in_L].sum()) if rows else 0.0
            back = float(graph.counts_LL[is_in_L][:, rows].sum()) if rows else 0.0
            seen, there = float(graph.totals_L[rows].sum()) if rows else 0.0, float(graph.totals_L[is_in_L].sum())
            if group.key == own or (away <= 0 and back <= 0):
                continue
            shares = away / max(seen, 1e-9), back / max(there, 1e-9)
            sentence = f"{percent(shares[0])} is taken for classes of {quoted(group.name)}, {percent(shares[1])} back."
            lines.append((sum(shares), Line((group.name, *map(percent, shares)), sentence, "group", (group.key,))))
        lines.sort(key=lambda each: -each[0])
        self._heading.setText("Taken for classes of" if lines else "")
        self.table.set_lines(("Superclass", "There", "Back"), [line for _, line in lines], 1)
        self._show_table(bool(lines), "")

    def show_edge(self, picture: GraphPicture, first_id: int, second_id: int) -> None:
        """Tell of a confusion, with the images behind either direction."""
        one, other = picture.name_of(first_id), picture.name_of(second_id)
        there, back = picture.graph.between(first_id, second_id)
        self._say(f"{shown(one)} – {shown(other)}", edge_sentence_of(picture, first_id, second_id), ())
        lines = [
            Line(
                (one, other, percent(there)),
                f"{quoted(one)} taken for {quoted(other)}",
                "confusion",
                (first_id, second_id),
            ),
            Line(
                (other, one, percent(back)),
                f"{quoted(other)} taken for {quoted(one)}",
                "confusion",
                (second_id, first_id),
            ),
        ]
        self._heading.setText("Enter shows the images")
        self.table.set_lines(("Is", "Taken for", "Share"), lines, 2)
        self._show_table(True, "")

    def _say(self, title: str, words: str, commands: Sequence[SuperclassCommand]) -> None:
        self._title.setText(shown(title))
        self._words.setText(words)
        for command, button in self._buttons.items():
            button.setVisible(command in commands)
        self._row.setVisible(bool(commands))

    def _show_table(self, has_lines: bool, nothing: str) -> None:
        if not has_lines and self.table.hasFocus():
            self.emptied.emit()
        self.table.setVisible(has_lines)
        self._heading.setVisible(has_lines)
        self._none.setText(nothing)
        self._none.setVisible(bool(nothing) and not has_lines)

    @property
    def words(self) -> str:
        """What is said."""
        return f"{self._title.text()} {self._words.text()}"

    def button(self, command: SuperclassCommand) -> QPushButton:
        """The button of a command."""
        return self._buttons[command]

    def open_first(self) -> None:
        """Follow the line that is current, else the first one."""
        lines, row = self.table.rows.lines, self.table.currentIndex().row()
        if lines and lines[max(row, 0)].kind == "confusion":
            self._open(lines[max(row, 0)])

    def _open(self, line: Line) -> None:
        if line.kind == "confusion":
            self.images_wanted.emit(*line.ids)
        elif line.kind == "class":
            self.class_wanted.emit(line.ids[0])
        else:
            self.area_wanted.emit(line.ids[0])

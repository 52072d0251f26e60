"""What the models see in the region that was drawn: its routing and its heat, asked for after the hits are there."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal

from locstudio.domain.geometry import UnitBox
from locstudio.domain.regions import Image
from locstudio.domain.text import shown
from locstudio.jobs.engine_messages import Routed
from locstudio.services.heat.inside import heat_inside
from locstudio.services.routing.found import FoundRouting
from locstudio.ui.background import LatestOnly
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.heatmaps.class_rows import ClassRow
from locstudio.ui.heatmaps.heat_reading import HeatReader, ReadHeat, with_found_heat
from locstudio.ui.heatmaps.heat_source import HeatSource
from locstudio.ui.routing.routing_panel_asking import Question, RoutingAsker
from locstudio.ui.routing.routing_panel_bars import share_text
from locstudio.ui.routing.routing_panel_reading import ReadRouting, RoutingReader
from locstudio.ui.routing.routing_panel_words import margin_words
from locstudio.ui.search.region_look import NUM_ROWS, Bar, RegionLook, Seen

_WHO = "region"
_LEAST_HEAT = 0.08
_MAX_IMAGES = 16
_EXPERTS, _HEAT = "Experts", "Heat inside"
_ASKING = Seen(_EXPERTS, sentence="The model is looking at it …")
_NO_EXPERTS = Seen(_EXPERTS, sentence="There is no model with experts; train experts (Ctrl+R).")
_NO_ENGINE = "The models are not running; press Retry at the top right."
_LOOKING = Seen(_HEAT, sentence="The model is looking at the image …")
_NO_HEAT = Seen(_HEAT, sentence="No class is hot here.")
_NO_HEAT_YET = Seen(_HEAT, sentence="There is no heat of this image; train the heatmaps (Ctrl+R).")

Found = dict[str, tuple[float, NDArray[np.uint8]]]


@dataclass(frozen=True, slots=True)
class Place:
    """A box of an image."""

    image: Image
    box: UnitBox


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    place: Place
    routing: ReadRouting
    heat: ReadHeat
    hot: tuple[Bar, ...]


class RegionLooking(QObject):
    """Looks at one region at a time; what is asked meanwhile is forgotten.

    Signals:
        failed: a sentence.
    """

    failed = Signal(str)

    def __init__(
        self,
        routing: RoutingReader,
        heat: HeatReader,
        source: HeatSource,
        asker: RoutingAsker,
        engine: EngineClient,
        look: RegionLook,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._routing, self._heat, self._source = routing, heat, source
        self._asker, self._engine, self._look = asker, engine, look
        self._place: Place | None = None
        self._read: _Read | None = None
        self._found: dict[tuple[int, Path], Found] = {}
        self._asked: tuple[int, tuple[int, Path]] | None = None
        self._reads, self._warming = LatestOnly(self), LatestOnly(self)
        self._reads.arrived.connect(self._on_read)
        self._warming.arrived.connect(self._on_warm)
        for door in (self._reads, self._warming):
            door.failed.connect(lambda error: self.failed.emit(str(error)))
        source.arrived.connect(self._on_source)
        engine.heated.connect(self._on_heated)
        engine.refused.connect(self._on_refused)
        look.hide()

    @property
    def place(self) -> Place | None:
        """The region that is looked at."""
        return self._place

    def wait(self) -> None:
        """A region is on its way under the mouse: nothing is asked before it rests."""
        self._forget()
        self._look.wait()

    def look_at(self, image: Image, box: UnitBox) -> None:
        """Look at a region that rests."""
        self._forget()
        self._place = place = Place(image, box)
        self._look.show()
        self._reads.submit(_read, self._routing, self._heat, place)

    def clear(self) -> None:
        """There is no region."""
        self._forget()
        self._look.hide()

    def forget_models(self) -> None:
        """Another model may be in use."""
        self._found.clear()
        if self._place is not None:
            self.look_at(self._place.image, self._place.box)

    def close(self) -> None:
        """Wait for what is being read; nothing arrives any more."""
        self._forget()
        self._reads.close()
        self._warming.close()

    def _forget(self) -> None:
        self._place = self._read = None
        self._reads.forget()
        self._warming.forget()
        self._asker.forget(_WHO)

    def _on_read(self, read: _Read) -> None:
        if read.place != self._place:
            return
        self._read = read
        self._ask_experts(read)
        if read.heat.run is not None:
            self._look.set_heat(_seen_heat(read.hot))
        else:
            self._ask_heat(read)

    # experts ----------------------------------------------------------------------------------------------------

    def _ask_experts(self, read: _Read) -> None:
        model = read.routing.model
        if model is None:
            sentence = shown(read.routing.problem, 200)
            self._look.set_routing(Seen(_EXPERTS, sentence=sentence) if sentence else _NO_EXPERTS)
        elif not self._asker.can_ask:
            self._look.set_routing(Seen(_EXPERTS, sentence=_NO_ENGINE))
        else:
            self._look.set_routing(_ASKING)
            question = Question(str(read.place.image.id), model.folder, read.place.box)
            self._asker.ask(_WHO, question, self._on_routed, self._on_not_routed)

    def _on_routed(self, _question: Question, routed: Routed) -> None:
        if self._read is not None:
            found = self._read.routing.answered(routed).found
            if found is not None:
                self._look.set_routing(seen_experts(found), class_words(found))

    def _on_not_routed(self, _question: Question, sentence: str) -> None:
        self._look.set_routing(Seen(_EXPERTS, sentence=shown(sentence, 200)))

    # heat -------------------------------------------------------------------------------------------------------

    def _ask_heat(self, read: _Read) -> None:
        image, model = read.place.image, read.heat.model
        if model is None:
            self._look.set_heat(_NO_HEAT_YET)
        elif (image.id, model) in self._found:
            self._warm(read, self._found[image.id, model])
        elif self._asker.can_ask:
            self._look.set_heat(_LOOKING)
            if not self._source.is_looking_at(image.id):  # else it tells what it has found
                self._asked = (self._engine.find_heat(str(image.id), model), (image.id, model))
        else:
            self._look.set_heat(Seen(_HEAT, sentence=_NO_ENGINE))

    def _on_heated(self, number: int, found: Found) -> None:
        if self._asked is None or number != self._asked[0]:
            return
        key, self._asked = self._asked[1], None
        while len(self._found) >= _MAX_IMAGES:
            self._found.pop(next(iter(self._found)))
        self._found[key] = found
        read = self._read
        if read is not None and (read.place.image.id, read.heat.model) == key:
            self._warm(read, found)

    def _on_source(self, heat: ReadHeat) -> None:
        """The heat panel has found what is waited for; the engine answers only the newest question about heat."""
        read = self._read
        if read is None or read.heat.run is not None or not heat.is_found or heat.image.id != read.place.image.id:
            return
        if self._look.heat_seen == _LOOKING:
            self._warming.submit(lambda: (read.place, hot_bars(heat.rows, read.place.box)))

    def _warm(self, read: _Read, found: Found) -> None:
        image = read.place.image
        size = (image.width, image.height)
        self._warming.submit(
            lambda: (read.place, hot_bars(with_found_heat(read.heat.rows, found, size), read.place.box))
        )

    def _on_warm(self, warm: tuple[Place, tuple[Bar, ...]]) -> None:
        if warm[0] == self._place:
            self._look.set_heat(_seen_heat(warm[1]))

    def _on_refused(self, number: int, sentence: str) -> None:
        if self._asked is not None and number == self._asked[0]:
            self._asked = None
            if self._read is not None:
                self._look.set_heat(Seen(_HEAT, sentence=shown(sentence, 200)))


def _read(routing: RoutingReader, heat: HeatReader, place: Place) -> _Read:
    """What runs have of an image, and the models that can be asked about a region of it.  Runs on a worker."""
    found = heat.read(place.image, "", None)
    hot = hot_bars(found.rows, place.box) if found.run is not None else ()
    return _Read(place, routing.model(place.image), replace(found, image=place.image), hot)


def hot_bars(rows: Sequence[ClassRow], box: UnitBox) -> tuple[Bar, ...]:
    """The classes that are hottest inside a box, on the average over it."""
    inside = [(row, heat_inside(row.map_WW, box)) for row in rows if row.map_WW is not None]
    inside = [pair for pair in inside if pair[1].mean >= _LEAST_HEAT]
    inside.sort(key=lambda pair: -pair[1].mean)
    return tuple(
        Bar(
            name=row.name,
            share=heat.mean,
            number=f"{heat.mean:.2f}",
            told=(
                f"{shown(row.name)}: heat {heat.mean:.2f} on the average inside, {heat.around:.2f} around, "
                f"peak {heat.peak:.2f}, hotter than {heat.rank:.0f} % of the image"
            ),
            key=row.class_id,
            is_first=place == 0,
        )
        for place, (row, heat) in enumerate(inside[:NUM_ROWS])
    )


def _seen_heat(hot: tuple[Bar, ...]) -> Seen:
    return Seen(_HEAT, hot) if hot else _NO_HEAT


def seen_experts(found: FoundRouting) -> Seen:
    """The likeliest experts of a region, and how surely the first was chosen."""
    shares = found.probabilities_RE[0]
    falling = sorted(range(len(shares)), key=lambda expert: (expert != found.expert, -shares[expert]))
    bars = tuple(
        Bar(
            name=found.expert_names[expert],
            share=shares[expert],
            number=share_text(shares[expert]),
            told=f"Expert {shown(found.expert_names[expert])}, {shares[expert]:.3f}"
            + (", takes this region" if expert == found.expert else ""),
            key=expert,
            is_first=expert == found.expert,
        )
        for expert in falling[:NUM_ROWS]
    )
    return Seen(_EXPERTS, bars)


def class_words(found: FoundRouting) -> str:
    """The likeliest classes of a region, and how the experts were told apart, in a sentence."""
    named = ", ".join(f"{shown(name, 40)} {share_text(share)}" for name, share in found.classes[:NUM_ROWS])
    second = found.second
    if second is None or found.routing in ("random", "oracle"):
        return f"Seen as {named}."
    ahead = f"{margin_words(found.margin)} {second + 1}, by {found.margin:.2f}"
    return f"Seen as {named}. Expert {found.expert + 1} {ahead}."

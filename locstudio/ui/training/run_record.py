"""Everything that one run has said, ready to be shown; read again and again, each time only what is new.

No widget and no Qt here: a record belongs to the worker thread that reads it.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstudio.domain.errors import BadInput, TooNew
from locstudio.domain.geometry import UnitBox
from locstudio.jobs.configs import RunConfig
from locstudio.jobs.messages import (
    AnyMessage,
    Evaluated,
    Failed,
    Finished,
    Note,
    Progress,
    Sampled,
    Saved,
    Started,
    Waiting,
)
from locstudio.jobs.routing import RoutingHeader, read_routing_header, routing_mark
from locstudio.jobs.run_folder import RunFolder
from locstudio.jobs.run_tail import RunTail
from locstudio.jobs.training_files import read_samples
from locstudio.services.curves import CurveReader, Curves
from locstudio.services.routing.book import names_of_experts
from locstudio.services.routing.loads import num_dead
from locstudio.services.starting import model_of
from locstudio.store.view import DatasetView
from locstudio.ui.training.lines import Curve
from locstudio.ui.training.samples_view import Sample, SampleSheet
from locstudio.ui.training.wording import counted, metric_name

_LOG_BYTES = 64 * 1024
_COUNT = "n_"  # before the name of what was counted, and not measured
_COUNTED = ("n", "dead_experts")
_LOAD = re.compile(r"expert_(\d+)")
_DENSE_FIRST = "Training the dense twin first"


@dataclass(frozen=True, slots=True, eq=False)
class RunContent:
    """What the page shows of a run: curves by name, samples by evaluation, sentences, and the end of the log.

    ``phase`` says in a few words what a running process does besides its steps.
    """

    curves: Mapping[str, Curve] = field(default_factory=dict)
    sheets: tuple[SampleSheet, ...] = ()
    said: tuple[str, ...] = ()
    log: str = ""
    phase: str = ""


class RunRecord:
    """One run, read incrementally.  Not to be used from two threads at once."""

    def __init__(self, folder: RunFolder, dataset: DatasetView, known: str = "region") -> None:
        """``known`` is what the run counts: a region, or a label."""
        self._folder = folder
        self._dataset = dataset
        self._tail = RunTail(folder)
        self._curves = CurveReader(folder)
        self._said: list[str] = []
        self._sheets: dict[int, SampleSheet] = {}
        self._phase = ""
        self._known = known
        self._mark = (0, 0)
        self._header: RoutingHeader | None = None
        self._started: Started | None = None

    def read(self) -> RunContent:
        """What is known now."""
        messages = self._tail.read()
        self._curves.add(messages)
        for message in messages:
            self._take(message)
        return RunContent(
            curves=named_curves(self._curves.curves()) | self._loads(),
            sheets=tuple(self._sheets[step] for step in sorted(self._sheets)),
            said=tuple(self._said),
            log=_end_of(self._folder),
            phase=self._phase,
        )

    def _take(self, message: AnyMessage) -> None:
        if isinstance(message, Started):
            self._started = message
        self._phase = phase_after(message, self._phase, has_index=self._known == "region")
        sentence = sentence_of(message, self._known)
        if sentence:
            self._said.append(sentence)
        if isinstance(message, Sampled):
            try:
                self._sheets[message.step] = self._sheet(message)
            except BadInput as problem:
                self._said.append(str(problem))

    def _loads(self) -> dict[str, Curve]:
        """The load of each expert, of all images that were looked at, once the run has written where they went."""
        mark = routing_mark(self._folder.results)
        if mark != self._mark:
            with suppress(BadInput, TooNew):
                self._header = read_routing_header(self._folder.results)
                self._mark = mark
        if self._header is None or self._started is None:
            return {}
        return curves_of_loads(self._header, self._started)

    def _sheet(self, message: Sampled) -> SampleSheet:
        samples = read_samples(self._folder.path / message.path)
        images = {image.id: image for image in self._dataset.images([region.image_id for region in samples.regions])}
        return SampleSheet(
            samples.step,
            tuple(
                Sample(images[region.image_id], region.region_id, UnitBox(*region.box), region.truth, region.guesses)
                for region in samples.regions
                if region.image_id in images
            ),
        )


def named_curves(curves: Curves) -> dict[str, Curve]:
    """The curves by the names that the view knows: ``loss``, ``part/NAME``, ``metric/NAME``, ``rate``."""
    named: dict[str, Curve] = {}
    table = {"loss": curves.loss, **{f"part/{name}": values for name, values in curves.parts.items()}}
    for name, values in {**table, "rate": curves.learning_rate}.items():
        curve = _finite(curves.step, values)
        if len(curve.steps):
            named[name] = curve
    for name, (steps, values) in curves.evaluated.items():
        if name in _COUNTED or name.startswith(_COUNT) or _LOAD.fullmatch(name):
            continue
        named[f"metric/{name}"] = _finite(steps, values)
    return named


def curves_of_loads(header: RoutingHeader, started: Started) -> dict[str, Curve]:
    """The load of each expert, ``load/NAME``, and ``dead``: how many have hardly any; means over the routers.

    Args:
        header: Of what a training has written of its routing.
        started: Says how many steps the run has; the epochs of the experts are the last ones.
    """
    if not (header.epochs and started.steps_per_epoch):
        return {}
    first = started.num_steps - header.num_epochs * started.steps_per_epoch
    steps_T = np.array([first + each.epoch * started.steps_per_epoch for each in header.epochs], np.float64)
    load_TE = np.array([np.mean(each.load, axis=0) for each in header.epochs], np.float64)
    named = {f"load/{name}": Curve(steps_T, load_TE[:, expert]) for expert, name in enumerate(names_of_experts(header))}
    return named | {"dead": Curve(steps_T, num_dead(load_TE).astype(np.float64))}


def known_word(config: RunConfig) -> str:
    """What a run counts that it learns from or measures: a region, or a label of an image."""
    return "label" if model_of(config) in ("consistency", "vmoe") else "region"


def phase_after(message: AnyMessage, phase: str, *, has_index: bool = True) -> str:
    """What a run does now, in a few words; empty while it takes its steps."""
    match message:
        case Started():
            return "Reading images"
        case Progress() if "dense" in message.parts:
            return _DENSE_FIRST
        case Progress() if message.loss is not None:
            return "Embedding the collection" if has_index and message.step >= message.num_steps else ""
        case Finished() | Failed():
            return ""
    return phase


def sentence_of(message: AnyMessage, known: str = "region") -> str:
    """A message in words; empty for those that only the curves show.  ``known`` is what the run counts."""
    match message:
        case Waiting():
            return "Waits for its turn: another run is going on."
        case Started():
            return _started(message, known)
        case Evaluated():
            named = message.metrics.items()
            told = ", ".join(_measured(name, value) for name, value in named if not _LOAD.fullmatch(name))
            return f"Step {message.step:,}: {told}."
        case Saved():
            return f"Step {message.step:,}: checkpoint saved."
        case Note():
            return message.text
        case Finished():
            return "Stopped, as asked; it can be resumed." if message.was_stopped else "Finished."
        case Failed():
            return f"Failed: {message.sentence}"
    return ""


def _measured(name: str, value: float) -> str:
    if name == "n":
        return counted(round(value), "image")
    if name == "dead_experts":
        return f"{counted(round(value), 'expert')} with hardly any image"
    if name.startswith(_COUNT):
        return f"{value:,.0f} {name.removeprefix(_COUNT).replace('_', ' ')}"
    return f"{metric_name(name)} {value:.3f}"


def _started(message: Started, known: str) -> str:
    begun = f"Goes on after step {message.first_step:,}" if message.first_step else "Begins"
    held_out = f"; {counted(message.num_held_out, known)} held out" if message.num_held_out else ""
    return (
        f"{begun} on {message.device}: {counted(message.num_regions, known)} of "
        f"{counted(message.num_images, 'image')}{held_out}; {counted(message.num_steps, 'step')}."
    )


def _finite(steps: NDArray[Any], values: NDArray[np.float64]) -> Curve:
    is_known = np.isfinite(values)
    return Curve(steps[is_known].astype(np.float64), values[is_known])


def _end_of(folder: RunFolder) -> str:
    """The last lines of the run's log."""
    try:
        with open(folder.log, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= _LOG_BYTES else text.partition("\n")[2]

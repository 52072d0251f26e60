"""Where the heat of the open image comes from: a run that has seen it, else the model of classes in use."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from locstudio.domain.regions import Image
from locstudio.ui.background import LatestOnly
from locstudio.ui.engine_client import EngineClient
from locstudio.ui.heatmaps.heat_reading import HeatReader, ReadHeat, with_found_heat

_LOOK_MS, _SELDOM_MS = 2_500, 10_000  # while a run goes on, and while none does

Found = dict[str, tuple[float, NDArray[np.uint8]]]


class HeatSource(QObject):
    """Reads on a thread of its own, asks the engine where no run has the image, and looks again while it is active.

    Signals:
        arrived: a ``ReadHeat`` of the image that was asked for last, whenever it is another one than before.
        failed: a sentence.
    """

    arrived = Signal(object)
    failed = Signal(str)

    def __init__(self, reader: HeatReader, engine: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._reader = reader
        self._engine = engine
        self._image: Image | None = None
        self._run_id = ""
        self._epoch: int | None = None
        self._is_active = self._must_tell = False
        self._read: ReadHeat | None = None
        self._found: tuple[int, Path, Found] | None = None
        self._asked: tuple[int, int, Path] | None = None
        self._reads = LatestOnly(self)
        self._reads.arrived.connect(self._on_read)
        self._reads.failed.connect(lambda error: self.failed.emit(str(error)))
        self._again = QTimer(self)
        self._again.timeout.connect(lambda: self._ask(look_again=True))
        engine.heated.connect(self._on_heated)
        engine.refused.connect(self._on_refused)

    @property
    def image(self) -> Image | None:
        """The image that heat is wanted of."""
        return self._image

    def is_looking_at(self, image_id: int) -> bool:
        """Whether the model is asked about this image, so that ``arrived`` will tell what it has found."""
        return self._asked is not None and self._asked[1] == image_id

    def set_image(self, image: Image | None) -> None:
        """Want the heat of another image, of the newest epoch; the same image again may have other fields."""
        if image is None or self._image is None or image.id != self._image.id:
            self._read, self._epoch, self._found, self._asked = None, None, None, None
        self._image = image
        self._ask()

    def set_active(self, is_active: bool) -> None:
        """Say whether heat is wanted at all."""
        if is_active != self._is_active:
            self._is_active = is_active
            self._ask(look_again=True)

    def set_run(self, run_id: str) -> None:
        """Read the heat of another run, empty for the newest."""
        self._run_id, self._epoch = run_id, None
        self.read_again()

    def set_epoch(self, epoch: int | None) -> None:
        """Read the heat of another epoch, None for the newest."""
        self._epoch = epoch
        self._ask()

    def read_again(self, *, forgets_found: bool = False) -> None:
        """Read what was said and painted meanwhile; ``forgets_found`` where the model in use may be another one."""
        if forgets_found:
            self._found = self._asked = None
        self._must_tell = True
        self._ask(look_again=forgets_found)

    def close(self) -> None:
        """Wait for what is being read."""
        self._again.stop()
        self._reads.close()

    def _ask(self, *, look_again: bool = False) -> None:
        if not self._is_active or self._image is None:
            self._again.stop()
            return
        is_running = self._read is not None and any(run.is_running for run in self._read.runs)
        self._again.start(_LOOK_MS if is_running else _SELDOM_MS)
        read = partial(self._reader.read, self._image, self._run_id, self._epoch, look_again=look_again)
        self._reads.submit(read)

    def _on_read(self, read: ReadHeat) -> None:
        if self._image is None or read.image.id != self._image.id:
            return
        if read.problem and self._epoch is not None:  # a damaged epoch is no reason to show nothing
            self.failed.emit(read.problem)
            self._must_tell = True
            self.set_epoch(None)
            return
        if read.is_as(self._read) and not self._must_tell:
            return
        self._must_tell = False
        self._read = read
        if read.run is None and read.model is not None:
            self._find(read.image, read.model)
        self._tell()

    def _tell(self) -> None:
        read = self._read
        if read is None:
            return
        if read.run is None and self._found is not None and self._found[:2] == (read.image.id, read.model):
            size = (read.image.width, read.image.height)
            read = replace(read, rows=with_found_heat(read.rows, self._found[2], size), is_found=True)
        elif self._asked is not None:
            read = replace(read, is_looking=True)
        self.arrived.emit(read)

    def _find(self, image: Image, model: Path) -> None:
        is_found = self._found is not None and self._found[:2] == (image.id, model)
        is_asked = self._asked is not None and self._asked[1:] == (image.id, model)
        if not is_found and not is_asked and self._engine.state.phase in ("ready", "loading"):
            self._asked = (self._engine.find_heat(str(image.id), model), image.id, model)

    def _on_heated(self, number: int, found: Found) -> None:
        if self._asked is not None and number == self._asked[0]:
            _, image_id, model = self._asked
            self._found, self._asked = (image_id, model, found), None
            self._tell()

    def _on_refused(self, number: int, sentence: str) -> None:
        if self._asked is not None and number == self._asked[0]:
            self._asked = None
            self.failed.emit(sentence)
            if self._read is not None:
                self._read = replace(self._read, problem=sentence)
            self._tell()

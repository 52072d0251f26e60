"""What has been painted once and is shown again until it changes."""

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPixmap

Paint = Callable[[QPainter], None]


class Layers:
    """Pixmaps of a widget's size, each painted anew when its key, the size or the pixel ratio is another one."""

    def __init__(self) -> None:
        self._pixmaps: dict[str, QPixmap] = {}
        self._keys: dict[str, tuple[object, ...]] = {}

    def clear(self) -> None:
        """Paint all of them anew when they are next asked for."""
        self._keys.clear()

    def whole(self, key: tuple[object, ...], size: QSize, ratio: float, paint: Paint) -> QPixmap:
        """The one layer, where one is enough; the others are let go."""
        for other in ("ground", "top"):
            self._pixmaps.pop(other, None)
            self._keys.pop(other, None)
        return self._layer("whole", key, size, ratio, paint, is_clear=False)

    def ground(self, key: tuple[object, ...], size: QSize, ratio: float, paint: Paint) -> QPixmap:
        """The opaque layer at the bottom of two."""
        return self._layer("ground", key, size, ratio, paint, is_clear=False)

    def top(self, key: tuple[object, ...], size: QSize, ratio: float, paint: Paint) -> QPixmap:
        """The transparent layer at the top of two."""
        return self._layer("top", key, size, ratio, paint, is_clear=True)

    def _layer(
        self, name: str, key: tuple[object, ...], size: QSize, ratio: float, paint: Paint, *, is_clear: bool
    ) -> QPixmap:
        key = (key, size.toTuple(), ratio)
        device = size * ratio
        layer = self._pixmaps.get(name)
        if layer is None or layer.size() != device:
            layer = self._pixmaps[name] = QPixmap(device)
            self._keys.pop(name, None)
        if self._keys.get(name) != key:
            layer.setDevicePixelRatio(ratio)
            if is_clear:
                layer.fill(Qt.GlobalColor.transparent)
            with QPainter(layer) as painter:
                paint(painter)
            self._keys[name] = key
        return layer

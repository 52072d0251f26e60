"""Tiles' pictures: the newest wish first, each loaded once, nothing kept beyond the limit."""

import threading

from PySide6.QtGui import QImage

from locstudio.ui.gallery.picture_loader import PictureLoader


def picture(_key) -> QImage:
    return QImage(64, 64, QImage.Format.Format_RGB32)


def test_that_a_picture_is_loaded_once_and_then_there(qtbot):
    loaded = []

    def load(key):
        loaded.append(key)
        return picture(key)

    loader = PictureLoader(load)
    with qtbot.waitSignal(loader.arrived):
        assert loader.picture("a") is None
        assert loader.picture("a") is None
    assert loader.picture("a").width() == 64
    assert loaded == ["a"]
    loader.close()


def test_that_the_newest_wish_is_loaded_first_and_dropped_ones_never(qtbot):
    gate, loaded = threading.Event(), []

    def load(key):
        gate.wait(5)
        loaded.append(key)
        return picture(key)

    loader = PictureLoader(load, num_threads=1)
    for number in range(100):
        loader.picture(number)
    loader.keep_only(range(60, 100))
    gate.set()
    qtbot.waitUntil(lambda: len(loaded) == 41)  # the first was on its way already
    assert loaded[0] == 0
    assert sorted(loaded[1:]) == list(range(60, 100))
    assert loaded[1] == 99
    loader.close()


def test_that_the_oldest_pictures_leave_when_memory_is_used_up(qtbot):
    loader = PictureLoader(picture, max_bytes=3 * 64 * 64 * 4)
    for number in range(5):
        with qtbot.waitSignal(loader.arrived):
            loader.picture(number)
    assert loader.picture(4) is not None
    assert loader.picture(0) is None
    loader.close()


def test_that_a_forgotten_picture_is_loaded_anew(qtbot):
    loader = PictureLoader(picture)
    with qtbot.waitSignal(loader.arrived):
        loader.picture(1)
    loader.forget(1)
    with qtbot.waitSignal(loader.arrived):
        assert loader.picture(1) is None
    assert loader.picture(1) is not None
    loader.close()


def test_that_nothing_arrives_after_close(qtbot):
    loader = PictureLoader(picture)
    loader.picture(1)
    loader.close()
    with qtbot.assertNotEmitted(loader.arrived, wait=50):
        pass

"""The thumbnail cache: never in the way."""

import logging
import os
import threading
from pathlib import Path

from locstudio.store.thumbnails import ThumbnailStore


def test_that_a_thumbnail_comes_back_as_it_was_and_after_a_restart(tmp_path: Path):
    with ThumbnailStore(tmp_path / "cache" / "thumbnails.sqlite") as store:
        assert store.get("a") is None
        store.put("a", b"one")
        store.put("a", b"two")
        store.put_many((f"caf\udce9 {number}", bytes([number])) for number in range(50))
        assert store.get("a") == b"two"
        assert store.get("caf\udce9 7") == b"\x07"
    with ThumbnailStore(tmp_path / "cache" / "thumbnails.sqlite") as store:
        assert store.get("a") == b"two"


def test_that_the_cache_keeps_below_its_limit_and_lets_the_oldest_go(tmp_path: Path):
    with ThumbnailStore(tmp_path / "thumbnails.sqlite", limit_bytes=2_000_000) as store:
        for number in range(300):
            store.put(str(number), os.urandom(20_000))
        assert store.get("299") is not None
        assert store.get("0") is None
        assert sum(store.get(str(number)) is not None for number in range(300)) >= 40
    assert (tmp_path / "thumbnails.sqlite").stat().st_size < 3_000_000


def test_that_a_damaged_cache_is_made_anew(tmp_path: Path, caplog):
    path = tmp_path / "thumbnails.sqlite"
    path.write_bytes(b"this is no database" * 100)
    with caplog.at_level(logging.WARNING), ThumbnailStore(path) as store:
        assert store.is_on
        store.put("a", b"one")
        assert store.get("a") == b"one"
    assert "made anew" in caplog.text


def test_that_a_cache_damaged_while_open_is_made_anew(tmp_path: Path):
    path = tmp_path / "thumbnails.sqlite"
    with ThumbnailStore(path) as store:
        store.put_many((str(number), os.urandom(9_000)) for number in range(200))
    content = bytearray(path.read_bytes())
    content[20_000:] = os.urandom(len(content) - 20_000)
    path.write_bytes(content)
    with ThumbnailStore(path) as store:
        for number in range(200):
            store.get(str(number))
            store.put(str(number), b"again")
        assert store.get("199") == b"again"


def test_that_a_full_disk_turns_the_cache_off_with_one_warning(tmp_path: Path, caplog):
    with ThumbnailStore(tmp_path / "thumbnails.sqlite") as store:
        store._writing.execute("PRAGMA max_page_count=6")
        with caplog.at_level(logging.WARNING):
            for number in range(20):
                store.put(str(number), os.urandom(20_000))
        assert not store.is_on
        assert store.get("0") is None
    assert len(caplog.records) == 1
    assert "full" in caplog.text


def test_that_a_place_where_nothing_can_be_written_means_no_cache(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with ThumbnailStore(tmp_path / "file" / "thumbnails.sqlite") as store:
        assert not store.is_on
        store.put("a", b"one")
        assert store.get("a") is None


def test_that_threads_may_read_and_write_at_once(tmp_path: Path):
    with ThumbnailStore(tmp_path / "thumbnails.sqlite") as store:
        wrong: list[str] = []

        def work(name: str) -> None:
            for number in range(50):
                store.put(f"{name}{number}", name.encode())
                if store.get(f"{name}{number}") != name.encode():
                    wrong.append(name)

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

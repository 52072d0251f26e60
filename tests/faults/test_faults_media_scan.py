"""FAULTS.md, folders: rows 36 to 40."""

import os
import time
import unicodedata
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from locstudio.domain.regions import Problem
from locstudio.domain.text import shown
from locstudio.media.decode import decode_rgb
from locstudio.media.files import ImageProblem
from locstudio.media.scan import ScannedFile, Skipped, describe, scan_folder

PIXEL = Image.new("RGB", (2, 3), (1, 2, 3))


def picture(path: Path | str) -> None:
    with open(path, "wb") as file:
        PIXEL.save(file, format="PNG")


def found(root: Path, **options: bool) -> list[str]:
    return [item.path_relative for item in scan_folder(root, **options) if isinstance(item, ScannedFile)]


def skipped(root: Path, **options: bool) -> dict[str, str]:
    return {item.path: item.reason for item in scan_folder(root, **options) if isinstance(item, Skipped)}


def test_that_names_come_with_their_numbers_in_order(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b10.png", "b9.png", "B1.png", "a.JPEG", "sub/c.png"):
        picture(tmp_path / name)
    assert found(tmp_path) == ["a.JPEG", "B1.png", "b9.png", "b10.png", "sub/c.png"]


def test_that_hidden_files_and_files_of_other_kinds_are_passed_over_in_silence(tmp_path):
    (tmp_path / ".cache").mkdir()
    for name in (".hidden.png", "._a.jpg", "notes.txt", "labels.json", ".cache/a.png"):
        (tmp_path / name).write_bytes(b"x")
    assert list(scan_folder(tmp_path)) == []


def test_that_a_picture_without_a_suffix_is_found_by_its_content(tmp_path):
    picture(tmp_path / "0001")
    (tmp_path / "README").write_text("words")
    assert found(tmp_path) == ["0001"]


def test_that_a_folder_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(ImageProblem, match="nowhere is not a folder"):
        list(scan_folder(tmp_path / "nowhere"))


def test_row_36_formats_that_we_do_not_read_are_skipped_and_named(tmp_path):
    for name in ("a.svg", "b.eps", "c.fits", "d.psd", "e.HEIC"):
        (tmp_path / name).write_bytes(b"x")
    reasons = skipped(tmp_path)
    assert list(reasons) == ["a.svg", "b.eps", "c.fits", "d.psd", "e.HEIC"]
    assert reasons["a.svg"] == "a.svg is a SVG file; LocStudio reads JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF."


def test_row_37_a_pipe_in_the_folder_is_skipped(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.mkfifo(tmp_path / "pipe")
    assert skipped(tmp_path) == {"pipe.jpg": "pipe.jpg is not an ordinary file."}


def test_row_38_a_loop_of_links_ends(tmp_path):
    (tmp_path / "a").mkdir()
    picture(tmp_path / "a/one.png")
    (tmp_path / "a/up").symlink_to(tmp_path)
    assert found(tmp_path) == ["a/one.png"]
    assert skipped(tmp_path) == {"a/up": "a/up is a link to a folder that is in the list already."}
    assert found(tmp_path, follow_links_out=True) == ["a/one.png"]


def test_row_38_a_link_that_leads_out_is_skipped_unless_allowed(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    picture(outside / "one.png")
    (root / "folder").symlink_to(outside)
    (root / "file.png").symlink_to(outside / "one.png")
    assert found(root) == []
    assert skipped(root)["file.png"] == "file.png is a link that leads out of the folder."
    assert set(skipped(root)) == {"folder", "file.png"}
    assert found(root, follow_links_out=True) == ["file.png", "folder/one.png"]


def test_row_38_allowed_links_that_lead_to_each_other_end(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, other in ((one, two), (two, one)):
        folder.mkdir()
        (folder / "other").symlink_to(other)
    picture(two / "a.png")
    assert found(one, follow_links_out=True) == ["other/a.png"]


def test_row_38_a_link_inside_the_folder_is_a_second_path(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("a.png")
    (tmp_path / "dangling.png").symlink_to("nothing.png")
    assert found(tmp_path) == ["a.png", "b.png"]
    assert "dangling.png cannot be read" in skipped(tmp_path)["dangling.png"]


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]) | st.sampled_from("\udc80\udcff\n\u202e😀é"),
    min_size=1,
    max_size=40,
).filter(lambda name: len(os.fsencode(name + ".png")) <= 255 and not name.startswith("."))


@settings(max_examples=60, deadline=None)
@given(name=NAMES)
def test_row_39_any_name_is_found_opened_and_shown_on_one_line(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("names")
    picture(os.path.join(root, name + ".png"))
    (scanned,) = scan_folder(root)
    assert scanned.path_relative == name + ".png"
    assert describe(root, scanned, 1).problem == Problem.NONE
    assert decode_rgb(root / scanned.path_relative).shape == (3, 2, 3)
    assert shown(scanned.path_relative).isprintable()


def test_row_39_composed_and_decomposed_names_are_two_files(tmp_path):
    names = [unicodedata.normalize(form, "é.png") for form in ("NFC", "NFD")]
    for name in names:
        picture(tmp_path / name)
    assert sorted(found(tmp_path)) == sorted(names)


def test_row_39_a_name_is_shown_with_its_marks_escaped():
    assert shown("a\nb\u202ec\udcffd") == "a\\x0ab\\u202ec\\xffd"
    assert shown("x" * 300, 10) == "xxxxx…xxxxx"


def test_row_40_a_path_that_is_too_long_is_one_skipped_folder(tmp_path):
    handle = os.open(tmp_path, os.O_RDONLY)
    for _ in range(22):  # 22 folders of 200 bytes: over the 4,096 that one path may have
        os.mkdir("d" * 200, dir_fd=handle)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    picture(tmp_path / "a.png")
    assert found(tmp_path) == ["a.png"]
    (reason,) = skipped(tmp_path).values()
    assert reason.endswith("cannot be read: file name too long.")
    assert len(reason) < 400


def test_row_40_twenty_levels_are_walked(tmp_path):
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrst")
    deep.mkdir(parents=True)
    picture(deep / "a.png")
    assert found(tmp_path) == ["a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/a.png"]


def test_row_40_the_walk_ends_soon_after_it_is_cancelled(tmp_path):
    for number in range(3000):
        (tmp_path / f"{number}.png").write_bytes(b"x")
    seen = 0
    cancel = Event()
    cancelled_at = 0.0
    for _ in scan_folder(tmp_path, is_cancelled=cancel.is_set):
        seen += 1
        if seen == 5:
            cancel.set()
            cancelled_at = time.monotonic()
    assert seen == 5
    assert time.monotonic() - cancelled_at < 0.2


def test_row_40_an_unreadable_folder_is_skipped_with_the_reason(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir()
    picture(tmp_path / "a.png")
    closed.chmod(0)
    try:
        if os.access(closed, os.R_OK):
            pytest.skip("this user may read everything")
        assert skipped(tmp_path) == {"closed": "The folder closed cannot be read: permission denied."}
    finally:
        closed.chmod(0o700)
    assert found(tmp_path) == ["a.png"]

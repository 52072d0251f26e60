"""FAULTS.md, images: rows 27 to 37, and 44.  Every refusal is one sentence; nothing refused is decoded."""

import os
import socket
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from locstudio.domain.regions import Problem
from locstudio.media.decode import decode_rgb, examine, read_header
from locstudio.media.files import MAX_PIXELS, ImageProblem
from locstudio.media.scan import ScannedFile, describe
from locstudio.media.square import load_square
from locstudio.media.thumbnails import thumbnail_jpeg

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow's own words on broken metadata


def photo(path: Path, width: int = 120, height: int = 80, **options: object) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path


def described(path: Path):
    status = path.lstat()
    return describe(path.parent, ScannedFile(path.name, status.st_size, status.st_mtime_ns), 1)


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_zeros(path: Path, width: int, height: int) -> Path:
    """A one-bit PNG written by hand: large in pixels, small on disk."""
    packed = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(packed.compress(row) for _ in range(height)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_row_27_a_truncated_jpeg_is_damaged_and_shown_as_far_as_it_goes(tmp_path, options):
    whole = photo(tmp_path / "whole.jpg", 200, 160, quality=90, **options)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    image = described(cut)
    assert (image.problem, image.width, image.height) == (Problem.DAMAGED, 200, 160)
    assert image.note == "cut.jpg is damaged: only part of it can be shown."
    rgb = decode_rgb(cut)
    assert rgb.shape == (160, 200, 3)
    if not options:  # a progressive file holds the whole picture, but coarse
        assert np.array_equal(rgb[:48], decode_rgb(whole)[:48])
    assert load_square(cut, 64)[0].shape == (64, 64, 3)
    assert thumbnail_jpeg(cut, 64)


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "tif"])
def test_row_27_other_truncated_files_are_flagged_too(tmp_path, suffix):
    whole = photo(tmp_path / f"whole.{suffix}")
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert described(cut).problem in (Problem.DAMAGED, Problem.UNREADABLE)
    assert "cut." in described(cut).note


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "a.jpg is empty."),
        (b"just some words", "a.jpg is a text file; LocStudio reads JPEG, PNG, WebP, BMP, TIFF, GIF and AVIF."),
        (b"<!DOCTYPE html><html>", "a.jpg is a web page;"),
        (b"%PDF-1.7\n%\xe2\xe3", "a.jpg is a PDF document;"),
        (bytes(range(200, 240)), "a.jpg is no picture;"),
        (b"\xff\xd8\xff", "a.jpg has a broken header"),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "a.jpg has a broken header"),
    ],
)
def test_row_28_what_is_no_picture_is_flagged_with_what_it_is(tmp_path, content, sentence):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    image = described(path)
    assert (image.problem, image.width, image.height) == (Problem.UNREADABLE, 0, 0)
    assert image.note.startswith(sentence)
    with pytest.raises(ImageProblem):
        decode_rgb(path)


def test_row_29_a_png_named_jpg_opens_and_its_true_format_is_stored(tmp_path):
    path = photo(tmp_path / "a.jpg", format="PNG")
    image = described(path)
    assert (image.format, image.problem) == ("PNG", Problem.NONE)
    assert decode_rgb(path).shape == (80, 120, 3)


@pytest.mark.parametrize(("side", "megapixels"), [(13_000, 169), (20_000, 400)])
def test_row_30_a_picture_over_the_limit_is_refused_before_it_is_decoded(tmp_path, side, megapixels):
    path = png_of_zeros(tmp_path / "bomb.png", side, side)
    begin = time.process_time()
    image = described(path)
    with pytest.raises(ImageProblem):
        decode_rgb(path, max_side=64)
    assert time.process_time() - begin < 0.3
    assert image.problem == Problem.TOO_LARGE
    assert image.note == (
        f"bomb.png has {side} x {side} = {megapixels} megapixels; LocStudio opens up to {MAX_PIXELS // 10**6}."
    )


def test_row_30_a_webp_canvas_over_the_limit_is_refused_before_its_memory_is_asked_for(tmp_path):
    path = photo(tmp_path / "a.webp", lossless=True)
    content = bytearray(path.read_bytes())
    assert content[12:16] == b"VP8L"
    content[21:25] = (16382 | 16382 << 14).to_bytes(4, "little")
    path.write_bytes(content)
    assert described(path).problem == Problem.TOO_LARGE


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tif", "mpo", "avif"])
def test_row_31_of_several_pictures_the_first_is_used_and_the_file_is_marked(tmp_path, suffix):
    frames = [Image.new("RGB", (20, 10), color) for color in ((255, 0, 0), (0, 0, 255))]
    path = tmp_path / f"a.{suffix}"
    options = {"loop": 0} if suffix == "gif" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    header = read_header(path)
    assert header.num_frames >= 2
    assert header.note == "It holds several pictures; the first is used."
    assert described(path).problem == Problem.NONE
    assert np.abs(decode_rgb(path).astype(int) - (255, 0, 0)).max() <= 4


def test_row_31_offsets_inside_an_mpo_are_never_followed(tmp_path):
    frames = [Image.new("RGB", (20, 10), color) for color in ((255, 0, 0), (0, 0, 255))]
    path = tmp_path / "a.mpo"
    frames[0].save(path, save_all=True, append_images=frames[1:])
    content = path.read_bytes()
    at = content.index(b"MPF\0")
    path.write_bytes(content[: at + 40] + b"\xff" * 60 + content[at + 100 :])
    assert decode_rgb(path).shape == (10, 20, 3)


@pytest.mark.parametrize(
    "garbage",
    [
        b"Exif\0\0" + b"II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + b"MM\0*" + struct.pack(">I", 8) + b"\xff\xff" * 3000,
        b"Exif\0\0nonsense" * 900,
        b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8),
        b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, 77, 0, 0),
    ],
    ids=["offset beyond the end", "endless entries", "no tiff", "directory inside itself", "orientation 77"],
)
def test_row_34_exif_garbage_is_ignored(tmp_path, garbage):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (20, 10), (255, 0, 0)).save(path, exif=garbage)
    image = described(path)
    assert (image.width, image.height, image.problem) == (20, 10, Problem.NONE)
    assert decode_rgb(path).shape == (10, 20, 3)
    if b"\x69\x87" not in garbage:  # what is wrong below the first directory is never read
        assert image.note == "Its EXIF data cannot be read and is ignored."


@pytest.mark.parametrize(("width", "height"), [(1, 1), (30_000, 1), (1, 30_000)])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_row_35_pictures_of_one_pixel_or_one_line_open_at_every_size(tmp_path, width, height, suffix):
    path = photo(tmp_path / f"a.{suffix}", width, height)
    assert described(path).problem == Problem.NONE
    assert decode_rgb(path).shape == (height, width, 3)
    small = decode_rgb(path, max_side=64)
    assert max(small.shape[:2]) == min(64, max(width, height))
    square, letterbox = load_square(path, 64)
    left, top, right, bottom = letterbox.content(64)
    assert (square.shape, right > left, bottom > top) == ((64, 64, 3), True, True)
    assert thumbnail_jpeg(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "a PostScript file"),
        (b"SIMPLE  =                    T", "a FITS file"),
        (b"8BPS\0\x01" + bytes(20), "a Photoshop file"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    ],
)
def test_row_36_formats_outside_the_list_never_reach_a_decoder(tmp_path, content, words):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(ImageProblem, match=f"a.png is {words}; LocStudio reads JPEG"):
        read_header(path)


def test_row_37_pipes_sockets_devices_and_folders_are_refused_without_waiting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path is limited to 108 bytes
    os.mkfifo("a.jpg")
    (tmp_path / "c.jpg").mkdir()
    (tmp_path / "d.jpg").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("b.jpg")
        for name in ("a.jpg", "b.jpg", "c.jpg", "d.jpg"):
            with pytest.raises(ImageProblem, match=f"{name} is not an ordinary file"):
                examine(tmp_path / name)
    assert described(tmp_path / "a.jpg").problem == Problem.UNREADABLE


def test_row_37_a_file_of_proc_says_that_it_is_empty():
    with pytest.raises(ImageProblem, match="is empty"):
        read_header(Path("/proc/self/status"))


def test_row_44_one_content_at_two_paths_has_one_hash(tmp_path):
    first, second = photo(tmp_path / "a.png"), tmp_path / "b.png"
    second.write_bytes(first.read_bytes())
    assert described(first).sha256 == described(second).sha256 != ""


def test_that_random_bytes_behind_a_true_beginning_never_raise_anything_else(tmp_path):
    random = np.random.default_rng(1)
    for suffix in ("jpg", "png", "gif", "webp", "bmp", "tif", "avif"):
        content = photo(tmp_path / f"whole.{suffix}", 40, 30).read_bytes()
        for number in range(60):
            broken = bytearray(content)
            for position in random.integers(4, len(broken), 1 + number % 12):
                broken[position] = random.integers(0, 256)
            path = tmp_path / f"broken.{suffix}"
            path.write_bytes(broken)
            describe(tmp_path, ScannedFile(path.name, len(broken), 0), 1)
            try:
                decode_rgb(path, max_side=20)
            except ImageProblem as error:
                assert str(error).startswith("broken.")  # noqa: PT017 - either outcome is right

"""What people have written about a picture, in it or beside it; and what strangers write there."""

import json
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL import PngImagePlugin

from locstudio.media.embedded_text import MAX_CHARACTERS, MAX_TEXTS, embedded_texts, one_line, texts_beside

XMP = """<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:description><rdf:Alt>{items}</rdf:Alt>
</dc:description></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def picture(path, **info):
    Picture.new("RGB", (8, 6), "red").save(path, **info)
    return path


def exif_with(**texts):
    exif = Picture.Exif()
    if "description" in texts:
        exif[0x010E] = texts["description"]
    if "comment" in texts:
        exif[0x9C9C] = texts["comment"].encode("utf-16-le") + b"\0\0"
    return exif


def with_segment(path, marker, content):
    """Put a segment into a JPEG, right behind its start."""
    raw = path.read_bytes()
    path.write_bytes(raw[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + raw[2:])
    return path


def with_iptc(path, *captions, block=None):
    if block is None:
        block = b"".join(b"\x1c\x02\x78" + struct.pack(">H", len(text)) + text for text in captions)
    resource = b"8BIM" + struct.pack(">H", 0x0404) + b"\0\0" + struct.pack(">I", len(block)) + block
    return with_segment(path, 0xED, b"Photoshop 3.0\0" + resource + b"\0" * (len(resource) % 2))


def with_xmp(path, packet):
    return with_segment(path, 0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def xmp(*items):
    listed = "".join(f'<rdf:li xml:lang="{language}">{text}</rdf:li>' for language, text in items)
    return XMP.format(items=listed).encode()


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_that_a_description_in_exif_is_found_in_every_format(tmp_path, name):
    path = picture(tmp_path / name, exif=exif_with(description="A dog on a beach"))
    assert embedded_texts(path).texts == {"exif": "A dog on a beach"}


def test_that_a_comment_of_windows_is_found(tmp_path):
    path = picture(tmp_path / "a.jpg", exif=exif_with(comment="Ein Hund\n am Strand"))
    assert embedded_texts(path).texts == {"exif-comment": "Ein Hund am Strand"}


def test_that_text_which_programs_write_as_utf8_is_read_as_such(tmp_path):
    path = picture(tmp_path / "a.jpg", exif=exif_with(description="Caf??"))
    path.write_bytes(path.read_bytes().replace(b"Caf??", "Café".encode()))
    assert embedded_texts(path).texts == {"exif": "Café"}


@pytest.mark.parametrize("text", ["SONY DSC", "OLYMPUS DIGITAL CAMERA         ", "   ", "...", "12345"])
def test_that_what_cameras_write_and_what_has_no_word_is_no_caption(tmp_path, text):
    assert embedded_texts(picture(tmp_path / "a.jpg", exif=exif_with(description=text))).texts == {}


def test_that_captions_of_iptc_are_found(tmp_path):
    path = with_iptc(picture(tmp_path / "a.jpg"), b"A red bus", "Ein Café".encode())
    assert embedded_texts(path).texts == {"iptc": "A red bus", "iptc:1": "Ein Café"}


def test_that_the_description_of_xmp_is_found_in_its_default_language(tmp_path):
    path = with_xmp(picture(tmp_path / "a.jpg"), xmp(("de", "Ein Hund"), ("x-default", "A dog"), ("fr", "Un chien")))
    assert embedded_texts(path).texts == {"xmp": "A dog"}


def test_that_without_a_default_language_the_first_is_taken(tmp_path):
    path = with_xmp(picture(tmp_path / "a.jpg"), xmp(("de", "Ein Hund"), ("fr", "Un chien")))
    assert embedded_texts(path).texts == {"xmp": "Ein Hund"}


def test_that_xmp_in_a_png_is_found(tmp_path):
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp(("x-default", "A dog")).decode())
    assert embedded_texts(picture(tmp_path / "a.png", pnginfo=info)).texts == {"xmp": "A dog"}


def test_that_the_same_text_in_two_places_is_told_once(tmp_path):
    path = picture(tmp_path / "a.jpg", exif=exif_with(description="A dog"))
    assert embedded_texts(with_xmp(path, xmp(("x-default", "A  dog")))).texts == {"xmp": "A dog"}


BOMB = (
    b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><l>&b;</l>"""
)
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/passwd">]><l>&a;</l>"""


@pytest.mark.parametrize(
    "packet", [BOMB, OUTSIDE, b"<a>" * 20_000, b"<a", b"\xff\xfe\0", b"\0" * 50, b"<a>" * 9000 + b"</a>" * 9000]
)
def test_that_xml_of_strangers_is_refused_and_the_rest_is_read(tmp_path, packet):
    path = picture(tmp_path / "a.jpg", exif=exif_with(description="A dog"))
    written = embedded_texts(with_xmp(path, packet))
    assert written.texts == {"exif": "A dog"}


def test_that_broken_iptc_is_ignored_with_a_note(tmp_path):
    path = picture(tmp_path / "a.jpg", exif=exif_with(description="A dog"))
    written = embedded_texts(with_iptc(path, block=b"\x1c\x02\x78\xff\xff\xff\xff" + b"\x99" * 40))
    assert written.texts == {"exif": "A dog"}
    assert "a.jpg cannot be read and is ignored" in written.note


@pytest.mark.parametrize("content", [b"", b"<html>", b"\xff\xd8\xff\xe0", b"GIF89a"])
def test_that_a_file_that_is_no_picture_gives_a_note(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    written = embedded_texts(path)
    assert written.texts == {}
    assert "a.jpg" in written.note
    assert "missing" in embedded_texts(tmp_path / "none.jpg").note


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_that_no_bytes_in_the_metadata_raise(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("hostile") / "a.jpg"
    picture(path, exif=exif_with(description="A dog", comment="A cat"))
    with_iptc(path, b"A bus")
    with_xmp(path, xmp(("x-default", "A tree")))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 12))):
        raw[data.draw(st.integers(2, min(len(raw) - 1, 900)))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    for text in embedded_texts(path).texts.values():
        assert text.isprintable()
        assert len(text) <= MAX_CHARACTERS
        text.encode()


def beside(tmp_path, name, content):
    path = tmp_path / "dog.jpg"
    path.touch()
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return texts_beside(path, tmp_path)


@pytest.mark.parametrize("name", ["dog.txt", "dog.jpg.txt"])
def test_that_every_line_of_a_text_file_is_a_caption(tmp_path, name):
    assert beside(tmp_path, name, "A dog.\r\n\r\n  A  cat \n").texts == {f"{name}:0": "A dog.", f"{name}:1": "A cat"}


@pytest.mark.parametrize(
    ("document", "texts"),
    [
        ({"caption": "A dog"}, ["A dog"]),
        ({"caption": ["A dog", "A cat"]}, ["A dog", "A cat"]),
        ({"captions": ["A dog", {"caption": "A cat"}]}, ["A dog", "A cat"]),
        (["A dog", "A cat", "A dog"], ["A dog", "A cat"]),
        ([{"caption": "A dog", "id": 3}], ["A dog"]),
        ({"version": "5.0", "shapes": []}, []),
        ({"caption": 5, "captions": {"a": 1}}, []),
        ("A dog", []),
    ],
)
def test_that_captions_are_found_in_json(tmp_path, document, texts):
    assert list(beside(tmp_path, "dog.json", json.dumps(document)).texts.values()) == texts


@pytest.mark.parametrize(
    "content", ["A café".encode("utf-8-sig"), "A café".encode("utf-16"), "A café".encode("cp1252"), "A café".encode()]
)
def test_that_a_text_file_is_read_in_the_encodings_of_editors(tmp_path, content):
    assert list(beside(tmp_path, "dog.txt", content).texts.values()) == ["A café"]


def test_that_boxes_of_yolo_are_no_captions(tmp_path):
    assert beside(tmp_path, "dog.txt", "0 0.5 0.5 0.2 0.2\n17 0.1 0.2 0.3 0.4\n").texts == {}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dog.json", b"{"),
        ("dog.json", b"[" * 200_000),
        ("dog.json", b'{"caption": NaN}'),
        ("dog.txt", b"a" * (1 << 21)),
        ("dog.txt", b""),
    ],
)
def test_that_a_file_of_no_use_is_ignored_with_a_note(tmp_path, name, content):
    written = beside(tmp_path, name, content)
    assert written.texts == {}
    assert f"{name} is ignored" in written.note


def test_that_a_pipe_and_a_folder_are_no_captions(tmp_path):
    (tmp_path / "dog.json").mkdir()
    os.mkfifo(tmp_path / "dog.txt")
    written = texts_beside(tmp_path / "dog.jpg", tmp_path)
    assert written.texts == {}
    assert written.note.count("is ignored") == 2


def test_that_a_link_out_of_the_folder_is_not_followed(tmp_path):
    inside = tmp_path / "images"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text("a secret")
    (inside / "dog.txt").symlink_to(tmp_path / "secret.txt")
    written = texts_beside(inside / "dog.jpg", inside)
    assert written.texts == {}
    assert "leads out" in written.note


@pytest.mark.parametrize(
    "name", ["hund 🐕.jpg", "ca\u0301t.jpg", "a\nb.jpg", os.fsdecode(b"x\xff.jpg"), "\u202egpj.jpg"]
)
def test_that_a_picture_of_any_name_has_its_captions(tmp_path, name):
    (tmp_path / name).with_suffix(".txt").write_text("A dog")
    assert list(texts_beside(tmp_path / name, tmp_path).texts.values()) == ["A dog"]


def test_that_texts_are_bounded_in_number_and_length(tmp_path):
    lines = "\n".join(f"caption {'a' * 20_000} {number}" if not number else f"caption {number}" for number in range(90))
    written = beside(tmp_path, "dog.txt", lines)
    assert len(written.texts) == MAX_TEXTS
    assert max(map(len, written.texts.values())) == MAX_CHARACTERS
    assert f"the first {MAX_TEXTS} are taken" in written.note


@given(st.text())
def test_that_a_line_can_be_stored_and_shown(text):
    line = one_line(text)
    assert line == " ".join(line.split())
    assert line.isprintable()
    line.encode()


def test_that_html_stays_what_it_is():
    assert one_line("<b>bold</b> & a dog\0") == "<b>bold</b> & a dog"
    assert one_line("\u202ea dog\u200f") == "a dog"
    assert one_line("a\r\nb") == "a b"

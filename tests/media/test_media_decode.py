"""Headers and pixels: one upright RGB8 for every reader."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from locstudio.domain.geometry import UnitBox
from locstudio.media.decode import decode_rgb, examine, read_header
from locstudio.media.files import ImageProblem
from locstudio.media.pyramid import mip_pyramid
from locstudio.media.square import PADDING, load_square, load_stretched
from locstudio.media.thumbnails import thumbnail_jpeg


def gradient(width: int, height: int) -> Image.Image:
    rows, columns = np.mgrid[0:height, 0:width]
    channels = [columns * 255 // max(width - 1, 1), rows * 255 // max(height - 1, 1), (rows + columns) % 256]
    return Image.fromarray(np.stack(channels, axis=2).astype(np.uint8))


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def oriented(image: Image.Image, path: Path, orientation: int, **options: object) -> Path:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, path, exif=exif, **options)


def test_that_a_header_names_the_size_and_the_true_format(tmp_path):
    path = saved(gradient(30, 20), tmp_path / "a.jpg", format="PNG")
    header = read_header(path)
    assert (header.width, header.height, header.format, header.orientation, header.num_frames) == (30, 20, "PNG", 1, 1)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "gif", "webp", "avif", "jpg"])
def test_that_every_allowed_format_decodes_to_rgb8(tmp_path, suffix):
    rgb = decode_rgb(saved(Image.new("RGB", (9, 5), (200, 100, 50)), tmp_path / f"a.{suffix}"))
    assert rgb.shape == (5, 9, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.writeable
    assert np.abs(rgb.reshape(-1, 3).astype(int) - (200, 100, 50)).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["png", "tif", "jpg", "webp", "avif"])
def test_that_each_orientation_is_turned_upright_as_the_standard_says(tmp_path, orientation, suffix):
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:8, :16], upright[:8, 16:], upright[8:, :16] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    # What a camera stores for each value, so that the standard's reading gives the scene back.
    as_stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / f"a.{suffix}"
    oriented(Image.fromarray(np.ascontiguousarray(as_stored)), path, orientation)
    header = read_header(path)
    assert (header.width, header.height) == (32, 16)
    for rgb, scale in ((decode_rgb(path), 1), (decode_rgb(path, max_side=16), 2)):
        assert rgb.shape == (16 // scale, 32 // scale, 3)
        corners = rgb[[3 // scale, 3 // scale, 12 // scale], [4 // scale, 26 // scale, 4 // scale]].astype(int)
        assert np.abs(corners - [(255, 0, 0), (0, 255, 0), (0, 0, 255)]).max() < 60


@pytest.mark.parametrize("max_side", [1, 7, 64, 299])
def test_that_max_side_bounds_the_long_side_and_keeps_the_ratio(tmp_path, max_side):
    rgb = decode_rgb(saved(gradient(300, 200), tmp_path / "a.jpg"), max_side=max_side)
    assert max(rgb.shape[:2]) == max_side
    assert abs(rgb.shape[0] - max_side * 2 / 3) <= 1


def test_that_a_small_picture_keeps_its_size_under_max_side(tmp_path):
    assert decode_rgb(saved(gradient(30, 20), tmp_path / "a.png"), max_side=100).shape == (20, 30, 3)


def test_that_max_side_must_be_positive(tmp_path):
    with pytest.raises(ValueError):
        decode_rgb(saved(gradient(3, 2), tmp_path / "a.png"), max_side=0)


def test_that_a_draft_decoded_jpeg_looks_like_the_full_one_made_smaller(tmp_path):
    path = saved(gradient(1603, 1207), tmp_path / "a.jpg", quality=95)
    small = decode_rgb(path, max_side=200)
    full = Image.fromarray(decode_rgb(path)).resize((200, 150), Image.Resampling.LANCZOS)
    assert small.shape == (150, 200, 3)
    assert np.abs(small[..., :2].astype(int) - np.asarray(full)[..., :2]).max() <= 6


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (333, 517), (1203, 31), (2000, 1)])
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_that_the_square_holds_exactly_the_pixels_of_the_decoder(tmp_path, width, height, suffix):
    path = saved(gradient(width, height), tmp_path / f"a.{suffix}")
    square, letterbox = load_square(path, 224)
    left, top, right, bottom = letterbox.content(224)
    assert np.array_equal(square[top:bottom, left:right], decode_rgb(path, max_side=224))
    outside = np.ones((224, 224), bool)
    outside[top:bottom, left:right] = False
    assert (square[outside] == PADDING).all()


@settings(max_examples=40, deadline=None)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    orientation=st.integers(1, 8),
    side=st.sampled_from([64, 224, 256, 384]),
)
def test_that_square_and_decoder_agree_for_every_size_and_orientation(
    tmp_path_factory, width, height, orientation, side
):
    path = tmp_path_factory.mktemp("square") / "a.jpg"
    oriented(gradient(width, height), path, orientation)
    square, letterbox = load_square(path, side)
    left, top, right, bottom = letterbox.content(side)
    rgb = decode_rgb(path, max_side=side)
    header = read_header(path)
    assert (letterbox.width, letterbox.height) == (header.width, header.height)
    if max(header.width, header.height) >= side:
        assert np.array_equal(square[top:bottom, left:right], rgb)
    else:
        assert rgb.shape[:2] == (header.height, header.width)


def test_that_a_box_marks_the_same_pixels_in_picture_and_square(tmp_path):
    picture = np.zeros((300, 500, 3), np.uint8)
    picture[60:120, 100:250] = 255
    path = saved(Image.fromarray(picture), tmp_path / "a.png")
    square, letterbox = load_square(path, 250)
    unit = np.array([UnitBox.from_pixels(100, 60, 250, 120, 500, 300).as_tuple()], np.float32)
    x0, y0, x1, y1 = np.rint(letterbox.to_square(unit)[0] * 250).astype(int)
    white = np.argwhere((square > 127).all(axis=2))
    assert [*white.min(axis=0), *(white.max(axis=0) + 1)] == [y0, x0, y1, x1]


def test_that_a_small_picture_is_enlarged_into_the_square(tmp_path):
    square, letterbox = load_square(saved(Image.new("RGB", (10, 5), (255, 0, 0)), tmp_path / "a.png"), 40)
    assert letterbox.content(40) == (0, 10, 40, 30)
    assert (square[10:30] == (255, 0, 0)).all()


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (20, 10), (2000, 20), (64, 64)])
def test_that_a_stretched_picture_fills_the_square_from_edge_to_edge(tmp_path, size):
    square = load_stretched(saved(gradient(*size), tmp_path / "a.png"), 64)
    assert square.shape == (64, 64, 3)
    middle = (np.arange(64) + 0.5) / 64 * 255
    # Red grows from left to right over the whole square, green from top to bottom, whatever the shape of the picture.
    assert np.abs(square[32, 4:-4, 0] - middle[4:-4]).max() < 255 / 10
    assert np.abs(square[4:-4, 32, 1] - middle[4:-4]).max() < 255 / 10


@pytest.mark.parametrize("size", [(800, 200), (90, 60)])
def test_that_a_box_is_stretched_as_if_it_had_been_cut_out_before(tmp_path, size):
    picture = saved(gradient(*size), tmp_path / "a.png")
    square = load_stretched(picture, 64, UnitBox(0.25, 0.5, 0.75, 1.0))
    places = (np.arange(64) + 0.5) / 64
    assert np.abs(square[32, 4:-4, 0] - (0.25 + places[4:-4] / 2) * 255).max() < 255 / 20
    assert np.abs(square[4:-4, 32, 1] - (0.5 + places[4:-4] / 2) * 255).max() < 255 / 20
    whole = load_stretched(picture, 64, UnitBox(0.0, 0.0, 1.0, 1.0))
    assert np.array_equal(whole, load_stretched(picture, 64))


def test_that_a_speck_of_a_large_picture_is_stretched_too(tmp_path):
    picture = saved(Image.new("RGB", (4000, 3000), (200, 10, 30)), tmp_path / "a.jpg")
    square = load_stretched(picture, 32, UnitBox(0.5, 0.5, 0.5001, 0.5001))
    assert square.shape == (32, 32, 3)
    assert np.abs(square.astype(int) - (200, 10, 30)).max() < 6


def test_that_a_stretched_picture_is_upright_and_the_callers_own(tmp_path):
    square = load_stretched(oriented(gradient(80, 40), tmp_path / "a.jpg", 6), 32)
    # Turned a quarter: what grew to the right grows downwards now.
    assert square[4, 16, 0] < square[28, 16, 0]
    square[:] = 0


def test_that_a_pyramid_halves_down_to_1024_pixels():
    levels = mip_pyramid(np.zeros((2501, 5000, 3), np.uint8))
    assert [level.shape[:2] for level in levels] == [(2501, 5000), (1251, 2500), (626, 1250), (313, 625)]
    assert len(mip_pyramid(np.zeros((1024, 700, 3), np.uint8))) == 1
    assert mip_pyramid(np.zeros((1, 3000, 3), np.uint8))[-1].shape == (1, 750, 3)


def test_that_a_thumbnail_is_an_upright_jpeg(tmp_path):
    path = tmp_path / "a.jpg"
    oriented(gradient(800, 400), path, 6)
    thumbnail = tmp_path / "thumbnail.jpg"
    thumbnail.write_bytes(thumbnail_jpeg(path, 128))
    with Image.open(thumbnail) as image:
        assert (image.format, image.size) == ("JPEG", (64, 128))


def test_that_16_bit_grey_is_divided_by_257_and_rounded(tmp_path):
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    for suffix in ("png", "tif"):
        rgb = decode_rgb(saved(Image.fromarray(values), tmp_path / f"a.{suffix}"))
        assert rgb[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
        assert (rgb == rgb[..., :1]).all()


def test_that_floating_point_within_one_is_scaled_and_beyond_one_is_taken_as_it_is(tmp_path):
    unit = np.array([[0.0, 0.5, 1.0, np.nan]], np.float32)
    assert decode_rgb(saved(Image.fromarray(unit), tmp_path / "a.tif"))[0, :, 0].tolist() == [0, 128, 255, 0]
    bytes_like = np.array([[-3.0, 0.5, 200.4, 300.0]], np.float32)
    assert decode_rgb(saved(Image.fromarray(bytes_like), tmp_path / "b.tif"))[0, :, 0].tolist() == [0, 0, 200, 255]


def test_that_alpha_is_laid_over_white(tmp_path):
    for mode, color in (("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))):
        rgb = decode_rgb(saved(Image.new(mode, (2, 2), color), tmp_path / f"{mode}.png"))
        assert (rgb == 255).all()
    half = decode_rgb(saved(Image.new("RGBA", (1, 1), (0, 0, 0, 128)), tmp_path / "half.png"))
    assert half[0, 0].tolist() == [127, 127, 127]


def test_that_a_palette_and_its_transparent_colour_are_resolved(tmp_path):
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    rgb = decode_rgb(saved(image, tmp_path / "a.png"))
    assert rgb[0].tolist() == [[255, 0, 0], [0, 0, 255]]
    rgb = decode_rgb(saved(image, tmp_path / "b.png", transparency=1))
    assert rgb[0].tolist() == [[255, 0, 0], [255, 255, 255]]


def test_that_one_bit_becomes_black_and_white(tmp_path):
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert decode_rgb(saved(image, tmp_path / "a.png"))[0].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_that_cmyk_without_profile_is_the_plain_complement(tmp_path):
    image = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for name in ("a.tif", "a.jpg"):
        assert np.abs(decode_rgb(saved(image, tmp_path / name))[4, 4].astype(int) - (0, 255, 255)).max() <= 3


def test_that_an_srgb_profile_changes_nothing_and_a_broken_one_is_left_out(tmp_path):
    image = gradient(40, 30)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    plain = decode_rgb(saved(image, tmp_path / "a.png"))
    for number, profile in enumerate((srgb, b"no profile", srgb[:200])):
        path = saved(image, tmp_path / f"{number}.png", icc_profile=profile)
        assert np.array_equal(decode_rgb(path), plain)


def linear_light_profile() -> bytes:
    """The sRGB primaries with a gamma of 1, made by patching the curves of Pillow's own profile."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    for number in range(count):
        at = 132 + 12 * number
        tag, offset = bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8], "big")
        if tag in (b"rTRC", b"gTRC", b"bTRC"):
            data[offset : offset + 12] = b"curv" + bytes(8)  # a curve of no points is the identity
        elif tag == b"desc":
            data[offset : offset + int.from_bytes(data[at + 8 : at + 12], "big")] = bytes(
                int.from_bytes(data[at + 8 : at + 12], "big")
            )
    return bytes(data)


def test_that_a_profile_is_converted_to_srgb_at_every_size(tmp_path):
    path = saved(Image.new("RGB", (64, 64), (55, 55, 55)), tmp_path / "a.png", icc_profile=linear_light_profile())
    # Linear 55/255 = 0.2157 is 0.5019 in sRGB's curve: 1.055 * 0.2157 ** (1 / 2.4) - 0.055 = 0.502 = 128/255.
    for max_side in (None, 16):
        assert np.abs(decode_rgb(path, max_side=max_side).astype(int) - 128).max() <= 1


def test_that_a_missing_file_says_that_it_is_missing(tmp_path):
    with pytest.raises(ImageProblem, match=r"^nowhere\.jpg is missing\.$") as refused:
        decode_rgb(tmp_path / "nowhere.jpg")
    assert refused.value.problem == "missing"


def test_that_describing_a_sound_picture_decodes_none_of_it(tmp_path, monkeypatch):
    paths = [saved(gradient(64, 48), tmp_path / f"a.{suffix}") for suffix in ("jpg", "png", "gif", "webp")]
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("a picture was decoded"))
    for path in paths:
        header, damage = examine(path)
        assert (header.width, header.height, damage) == (64, 48, "")


def test_that_a_png_may_carry_its_orientation_behind_its_pixels(tmp_path):
    path = tmp_path / "a.png"
    oriented(gradient(20, 10), path, 6)
    content = path.read_bytes()
    at = content.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(content[at : at + 4], "big")
    path.write_bytes(content[:at] + content[end:-12] + content[at:end] + content[-12:])
    assert (read_header(path).width, read_header(path).orientation) == (10, 6)
    assert decode_rgb(path).shape == (20, 10, 3)

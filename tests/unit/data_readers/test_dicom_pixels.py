"""The way from stored values to what a monitor shows."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import convert_color_space
from pydicom.sequence import Sequence

from huizhen.data.readers.dicom_pixels import render
from huizhen.data.readers.scaling import window_range
from huizhen.errors import UnreadableFileError


@pytest.fixture
def shown(tmp_path, dicom):
    """Write one file and return it as shown in one channel (H, W)."""

    def show(pixels, channels=1, frame=None, **attributes):
        dicom(tmp_path / "a.dcm", pixels, **attributes)
        image = render([(tmp_path / "a.dcm", frame)], channels)
        assert image.dtype == np.float32
        return image[0] if channels == 1 else image

    return show


def test_without_a_window_the_percentile_range_is_shown(shown, ramp16):
    image = shown(ramp16)
    low, high = np.percentile(ramp16, [0.5, 99.5])
    np.testing.assert_allclose(image, np.clip((ramp16 - low) / (high - low), 0, 1), atol=1e-6)


def test_a_window_after_rescale(shown, ramp16):
    image = shown(
        ramp16, RescaleSlope=2, RescaleIntercept=-100, WindowCenter=["400", "9"], WindowWidth=["201", "9"]
    )
    expected = np.clip((ramp16 * 2.0 - 100 - (400 - 0.5)) / 200 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(image, expected, atol=1e-6)


def test_an_exact_and_a_sigmoid_window(shown, ramp16):
    exact = shown(ramp16, WindowCenter=400, WindowWidth=200, VOILUTFunction="LINEAR_EXACT")
    np.testing.assert_allclose(exact, np.clip((ramp16 - 300.0) / 200, 0, 1), atol=1e-6)
    sigmoid = shown(ramp16, WindowCenter=400, WindowWidth=200, VOILUTFunction="SIGMOID")
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-4 * (ramp16 - 400.0) / 200)), atol=1e-6)


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 400, "WindowWidth": 0},
        {"WindowCenter": -9000, "WindowWidth": 10},
        {"WindowCenter": "", "WindowWidth": ""},
    ],
)
def test_windows_that_show_nothing_are_passed_over(shown, ramp16, window):
    np.testing.assert_array_equal(shown(ramp16, **window), shown(ramp16))


def test_monochrome1_is_inverted(shown, ramp16):
    window = {"WindowCenter": 400, "WindowWidth": 800}
    inverted = shown(ramp16, PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_allclose(inverted, 1 - shown(ramp16, **window), atol=1e-6)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("kind", "value"), [("SS", -2000), ("US", 63536)])
def test_padding_is_black_and_outside_the_range(tmp_path, dicom, ramp16, photometric, kind, value):
    padded = ramp16.astype(np.int16)
    padded[0] = -2000
    data = dicom(tmp_path / "a.dcm", padded, PhotometricInterpretation=photometric)
    data.add_new("PixelPaddingValue", kind, value)
    data.save_as(tmp_path / "a.dcm")
    [image] = render([(tmp_path / "a.dcm", None)], 1)
    assert not image[0].any()
    low, high = np.percentile(padded[1:], [0.5, 99.5])
    expected = np.clip((padded[1:] - low) / (high - low), 0, 1)
    np.testing.assert_allclose(
        image[1:], 1 - expected if photometric == "MONOCHROME1" else expected, atol=1e-6
    )


def test_signed_values_of_twelve_bits(shown):
    values = np.array([[-2048, 0], [1024, 2047]], dtype=np.int16)
    image = shown(
        values, BitsStored=12, HighBit=11, WindowCenter=0, WindowWidth=4096, VOILUTFunction="LINEAR_EXACT"
    )
    np.testing.assert_allclose(image, (values + 2048) / 4096, atol=1e-6)


def test_eight_bits_without_a_window_are_taken_as_they_are(shown):
    values = np.array([[10, 20], [100, 200]], dtype=np.uint8)
    np.testing.assert_allclose(shown(values, Modality="US"), values / 255, atol=1e-6)


def test_a_voi_lut_goes_before_a_window(shown):
    item = Dataset()
    item.LUTDescriptor, item.LUTData = [4, 10, 8], bytes([0, 51, 102, 255])
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    values = np.array([[0, 10], [12, 500]], dtype=np.uint16)
    image = shown(values, VOILUTSequence=Sequence([item]), WindowCenter=1, WindowWidth=2)
    np.testing.assert_allclose(image, np.array([[0, 0], [102, 255]]) / 255, atol=1e-6)


def test_a_modality_lut(shown):
    item = Dataset()
    item.LUTDescriptor, item.LUTData, item.ModalityLUTType = [3, 0, 16], [5, 1000, 7], "US"
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "US"
    values = np.array([[0, 1], [2, 9]], dtype=np.uint16)
    image = shown(
        values,
        ModalityLUTSequence=Sequence([item]),
        WindowCenter=500,
        WindowWidth=1000,
        VOILUTFunction="LINEAR_EXACT",
    )
    np.testing.assert_allclose(image, np.array([[5, 1000], [7, 7]]) / 1000, atol=1e-6)


def test_colour_becomes_luminance_or_stays(shown):
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels[..., 1] = 255
    np.testing.assert_allclose(shown(pixels), 0.587, atol=1e-4)
    three = shown(pixels, channels=3)
    np.testing.assert_array_equal(three[:, 0, 0], [0, 1, 0])


def test_ybr_is_turned_to_rgb(shown):
    rgb = np.tile(np.array([200, 50, 20], np.uint8), (4, 4, 1))
    ybr = convert_color_space(rgb, "RGB", "YBR_FULL")
    three = shown(ybr, channels=3, PhotometricInterpretation="YBR_FULL")
    np.testing.assert_allclose(three[:, 0, 0] * 255, [200, 50, 20], atol=2)


def test_palette_colour(shown):
    lut = np.zeros(256, np.uint16)
    lut[7] = 0xFFFF
    off = np.zeros(256, np.uint16).tobytes()
    image = shown(
        np.full((2, 2), 7, np.uint8),
        channels=3,
        PhotometricInterpretation="PALETTE COLOR",
        RedPaletteColorLookupTableDescriptor=[256, 0, 16],
        GreenPaletteColorLookupTableDescriptor=[256, 0, 16],
        BluePaletteColorLookupTableDescriptor=[256, 0, 16],
        RedPaletteColorLookupTableData=lut.tobytes(),
        GreenPaletteColorLookupTableData=off,
        BluePaletteColorLookupTableData=off,
    )
    np.testing.assert_array_equal(image[:, 0, 0], [1, 0, 0])


def test_float_pixels_keep_nan_for_quality_control(tmp_path, dicom, ramp16):
    data = dicom(tmp_path / "a.dcm", ramp16, Modality="MR")
    del data.PixelData, data.BitsStored, data.HighBit, data.PixelRepresentation
    values = ramp16.astype(np.float32)
    values[0, 0] = np.nan
    data.BitsAllocated, data.FloatPixelData = 32, values.tobytes()
    data.save_as(tmp_path / "a.dcm")
    image = render([(tmp_path / "a.dcm", None)], 1)[0]
    assert np.isnan(image[0, 0])
    assert np.isfinite(image[1:]).all()
    assert image[1:].max() == 1


def test_frames_of_a_clip(shown):
    clip = np.stack([np.full((4, 4), value, np.uint8) for value in (0, 51, 255)])
    np.testing.assert_allclose(shown(clip, frame=1, Modality="US"), 0.2, atol=1e-6)


@pytest.mark.parametrize(
    "syntax",
    [
        "1.2.840.10008.1.2.5",  # RLE
        "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    ],
)
def test_lossless_compression_changes_nothing(tmp_path, dicom, syntax):
    pixels = np.random.Generator(np.random.Philox(3)).integers(0, 4096, (32, 40), dtype=np.uint16)
    data = dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)
    plain = render([(tmp_path / "a.dcm", None)], 1)
    data.compress(syntax)
    data.save_as(tmp_path / "b.dcm")
    np.testing.assert_array_equal(render([(tmp_path / "b.dcm", None)], 1), plain)


def test_phases_share_one_range_so_that_enhancement_is_kept(tmp_path, dicom):
    pre = np.full((8, 8), 100, np.uint16)
    pre[0] = 0
    post = pre.copy()
    post[4, 4] = 400
    for name, pixels in (("pre", pre), ("post", post)):
        dicom(tmp_path / f"{name}.dcm", pixels, Modality="MR")
    image = render([(tmp_path / "pre.dcm", None), (tmp_path / "post.dcm", None)], 2)
    assert image.shape == (2, 8, 8)
    assert image[0, 1, 1] == image[1, 1, 1]  # unchanged tissue keeps its grey
    assert image[1, 4, 4] > image[0, 4, 4] * 2


def test_phases_with_windows_share_their_union(tmp_path, dicom, ramp16):
    dicom(tmp_path / "pre.dcm", ramp16, Modality="MR", WindowCenter=200, WindowWidth=200)
    dicom(tmp_path / "post.dcm", ramp16, Modality="MR", WindowCenter=400, WindowWidth=400)
    image = render([(tmp_path / "pre.dcm", None), (tmp_path / "post.dcm", None)], 2)
    np.testing.assert_array_equal(image[0], image[1])
    low, high = window_range(200, 200)[0], window_range(400, 400)[1]
    np.testing.assert_allclose(image[0], np.clip((ramp16 - low) / (high - low), 0, 1), atol=1e-6)


def test_phases_of_different_size_are_refused(tmp_path, dicom, ramp16):
    dicom(tmp_path / "pre.dcm", ramp16, Modality="MR")
    dicom(tmp_path / "post.dcm", ramp16[:4], Modality="MR")
    with pytest.raises(UnreadableFileError, match=r"pre\.dcm"):
        render([(tmp_path / "pre.dcm", None), (tmp_path / "post.dcm", None)], 2)


def test_damaged_compressed_pixels_are_unreadable(tmp_path, dicom):
    pixels = np.random.Generator(np.random.Philox(3)).integers(0, 4096, (64, 64), dtype=np.uint16)
    data = dicom(tmp_path / "a.dcm", pixels, BitsStored=12, HighBit=11)
    data.compress("1.2.840.10008.1.2.4.80")
    data.PixelData = data.PixelData[:40] + bytes(len(data.PixelData) - 48) + data.PixelData[-8:]
    data.save_as(tmp_path / "a.dcm")
    with pytest.raises(UnreadableFileError):
        render([(tmp_path / "a.dcm", None)], 1)


def test_frames_of_compressed_and_of_deflated_clips(tmp_path, dicom):
    clip = np.stack([np.full((16, 16), value, np.uint8) for value in (0, 51, 255)])
    data = dicom(tmp_path / "a.dcm", clip, Modality="US")
    data.compress("1.2.840.10008.1.2.5")
    data.save_as(tmp_path / "rle.dcm")
    plain = dicom(tmp_path / "a.dcm", clip, Modality="US")
    plain.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    plain.save_as(tmp_path / "deflated.dcm")
    (tmp_path / "bare.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[132:])
    for name in ("rle", "deflated", "bare"):
        np.testing.assert_allclose(render([(tmp_path / f"{name}.dcm", 1)], 1), 0.2, atol=1e-6)

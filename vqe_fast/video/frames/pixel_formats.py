"""Pixel formats: bit depth, range, planar luma, and planar formats of the same samples."""

from __future__ import annotations

from av.video.format import VideoFormat

_SAME_SAMPLES = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "nv20le": "yuv422p10le",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p210le": "yuv422p10le",
    "p212le": "yuv422p12le",
    "p410le": "yuv444p10le",
    "p412le": "yuv444p12le",
    "yuyv422": "yuv422p",
    "yvyu422": "yuv422p",
    "uyvy422": "yuv422p",
    "ayuv": "yuva444p",
    "vuya": "yuva444p",
    "uyva": "yuva444p",
    "vuyx": "yuv444p",
    "vyu444": "yuv444p",
    "ayuv64le": "yuva444p16le",
    "xv30le": "yuv444p10le",
    "xv36le": "yuv444p12le",
    "y210le": "yuv422p10le",
    "y212le": "yuv422p12le",
}
"""Formats that interleave samples or leave bits unused → the planar format of the same samples."""

_FULL_RANGE = "yuvj"  # formats of this prefix are those without the j, with full range implied


def has_luma_plane(name: str) -> bool:
    """Whether the first plane of the pixel format is luma: 8 to 16 bits, little-endian, no more."""
    pixel_format = VideoFormat(name)
    components = pixel_format.components
    return (
        components[0].is_luma
        and 8 <= components[0].bits <= 16
        and len({component.plane for component in components}) == len(components)
        and not pixel_format.has_palette
        and not pixel_format.is_big_endian
        and not name.startswith("grayf")
    )


def planar_twin(name: str) -> str | None:
    """The pixel format with a plane of luma that holds the samples of ``name`` as they are.

    That is itself where it has one; None where there is no such format.
    """
    twin = _SAME_SAMPLES.get(name, name)
    if twin.endswith("be"):
        twin = f"{twin[:-2]}le"
    return twin if has_luma_plane(twin) else None


def without_implied_range(name: str) -> str:
    """``yuv420p`` for ``yuvj420p``, and so on: the same samples, the range in a tag of its own."""
    return name.replace(_FULL_RANGE, "yuv") if name.startswith(_FULL_RANGE) else name


def implies_full_range(name: str) -> bool:
    """Whether the samples of the pixel format have full range whatever the tag says."""
    return name.startswith(_FULL_RANGE)


def bit_depth(name: str) -> int:
    """Bit depth of luma."""
    return VideoFormat(name).components[0].bits


def has_alpha(name: str) -> bool:
    """Whether the pixel format has transparency."""
    pixel_format = VideoFormat(name)
    return pixel_format.has_palette or any(each.is_alpha for each in pixel_format.components)


def is_gray(name: str) -> bool:
    """Whether the pixel format has luma in whole numbers, perhaps transparency, and no colours."""
    return is_video(name) and len([c for c in VideoFormat(name).components if not c.is_alpha]) == 1


def is_video(name: str) -> bool:
    """Whether samples of the pixel format are Y'CbCr or luma as of video.

    Others are RGB, indices of a palette, single bits, fractions, or CIE XYZ.
    """
    pixel_format = VideoFormat(name)
    return not (
        pixel_format.is_rgb
        or pixel_format.has_palette
        or pixel_format.is_bit_stream
        or name.startswith(("xyz", "grayf", "yaf"))
    )

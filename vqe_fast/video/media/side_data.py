"""Side data of decoded frames: what they carry beside samples, and which encoders keep it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import av
from av.filter import Graph
from av.sidedata.sidedata import SideData, SideDataContainer
from av.video.frame import VideoFrame

_NAMES = {
    "A53_CC": "closed captions",
    "AFD": "active format descriptions",
    "AMBIENT_VIEWING_ENVIRONMENT": "the ambient viewing environment",
    "DOVI_METADATA": "Dolby Vision metadata",
    "DOVI_RPU_BUFFER": "Dolby Vision metadata",
    "DYNAMIC_HDR_PLUS": "HDR10+ metadata",
    "DYNAMIC_HDR_VIVID": "HDR Vivid metadata",
    "EXIF": "Exif metadata",
    "GOP_TIMECODE": "timecodes of pictures",
    "ICC_PROFILE": "the colour profile",
    "LCEVC": "the LCEVC enhancement layer",
    "S12M_TIMECODE": "timecodes of pictures",
    "SPHERICAL": "the spherical projection",
    "STEREO3D": "the stereoscopic layout",
    "VIEW_ID": "the second view",
}
"""What players or archives use, by PyAV's name; the rest, such as encoders' banners, is no loss.

Rotation and static HDR metadata are not among them: they are kept, or the video is refused.
"""

_UNKNOWN = {"LCEVC": 28, "VIEW_ID": 29, "THREE_D_REFERENCE_DISPLAYS": 30, "EXIF": 31}
"""Types that PyAV 18 does not know → FFmpeg's number of them."""

_WITH_METADATA = {"png": ("ICC_PROFILE",), "apng": ("ICC_PROFILE",)}
"""Codec → types whose side data its decoder gives metadata: the name of the profile."""

_KEPT = {"libx264": {"closed captions"}}
"""What of these an encoder writes into its stream."""


def side_data(frame: VideoFrame) -> dict[str, SideData]:
    """The side data of ``frame``, one that a sieve let through, by PyAV's name of its type.

    Raises:
        ValueError: PyAV has no name for some of it.
    """
    # Not ``frame.side_data``: it and the frame would hold each other until the garbage is
    # collected, which counts objects and not what frames weigh.
    container = cast(Any, SideDataContainer)(frame)  # PyAV's stubs lack the argument
    return {each.type.name: each for each in cast(Iterable[SideData], container)}


class SideDataSieve:
    """Filter that takes off side data which PyAV cannot wrap, and names what may get lost.

    PyAV 18 frees the metadata of side data with the object that wraps it, and FFmpeg once more with
    the frame. Of types that it does not know it wraps nothing, nor anything else of the frame.

    Args:
        codec: FFmpeg's name of the codec of the frames, which are of one size and pixel format.
    """

    def __init__(self, codec: str) -> None:
        self._always = _WITH_METADATA.get(codec, ())
        self._graphs: dict[str, Graph] = {}

    def __call__(self, frame: VideoFrame) -> tuple[VideoFrame, set[str]]:
        """``frame``, or one like it, and side data of it that an encoder may lose, in words."""
        names: set[str] = set()
        for name in self._always:
            frame = self._take_off(name, frame, names)
        try:
            kept = side_data(frame)
        except ValueError:
            for name in _UNKNOWN:
                frame = self._take_off(name, frame, names)
            kept = side_data(frame)
        return frame, {_NAMES[name] for name in names.union(kept) if name in _NAMES}

    def _take_off(self, name: str, frame: VideoFrame, names: set[str]) -> VideoFrame:
        if name not in self._graphs:
            self._graphs[name] = _graph(frame, _UNKNOWN.get(name, name))
        graph = self._graphs[name]
        graph.vpush(frame)
        try:
            without = graph.vpull()
        except av.error.BlockingIOError:  # it has none of these
            return frame
        names.add(name)
        return without


def _graph(frame: VideoFrame, kind: str | int) -> Graph:
    """A filter graph that lets only frames with a type of side data through, without it."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base,
    )
    graph.link_nodes(
        source,
        graph.add("sidedata", f"mode=select:type={kind}"),
        graph.add("sidedata", f"mode=delete:type={kind}"),
        graph.add("buffersink"),
    ).configure()
    return graph


def not_kept(extras: Iterable[str], codec: str) -> tuple[str, ...]:
    """Of the side data ``extras`` that which the encoder ``codec`` loses, sorted."""
    return tuple(sorted(set(extras) - _KEPT.get(codec, set())))

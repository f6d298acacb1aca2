"""Side data of decoded frames: what they carry beside samples, and which encoders keep it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

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
    "GOP_TIMECODE": "timecodes of pictures",
    "ICC_PROFILE": "the colour profile",
    "S12M_TIMECODE": "timecodes of pictures",
    "SPHERICAL": "the spherical projection",
    "STEREO3D": "the stereoscopic layout",
}
"""What players or archives use, by PyAV's name; the rest, such as encoders' banners, is no loss.

Rotation and static HDR metadata are not among them: they are kept, or the video is refused.
"""

_KEPT = {"libx264": {"closed captions"}}
"""What of these an encoder writes into its stream."""


def side_data(frame: VideoFrame) -> dict[str, SideData]:
    """The side data of ``frame`` by PyAV's name of its type.

    Nothing at all where PyAV has no name for some of it, such as a photograph's EXIF.
    """
    try:
        # Not ``frame.side_data``: it and the frame would hold each other until the garbage is
        # collected, which counts objects and not what frames weigh.
        container = cast(Any, SideDataContainer)(frame)  # PyAV's stubs lack the argument
        return {each.type.name: each for each in cast(Iterable[SideData], container)}
    except ValueError:
        return {}


def extras_of(frame: VideoFrame) -> set[str]:
    """Side data of ``frame`` that an encoder may lose, in words."""
    return {_NAMES[name] for name in side_data(frame) if name in _NAMES}


def not_kept(extras: Iterable[str], codec: str) -> tuple[str, ...]:
    """Of the side data ``extras`` that which the encoder ``codec`` loses, sorted."""
    return tuple(sorted(set(extras) - _KEPT.get(codec, set())))

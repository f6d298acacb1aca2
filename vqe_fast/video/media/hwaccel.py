"""Hardware decoding: an open video whose decoder runs on a device, by FFmpeg's name of it."""

from __future__ import annotations

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.container import InputContainer

from vqe_fast.storage.location import Location
from vqe_fast.video.errors import VideoError
from vqe_fast.video.media.open import open_video, pick_stream

AUTO = "auto"
"""The name that stands for any device that is there, or for none."""


def open_on_device(source: Location, device: str) -> InputContainer:
    """Opens ``source`` for decoding on a device; frames come back into system memory.

    What the device cannot decode of a codec that it knows, FFmpeg decodes without it.

    Args:
        source: the path of a file.
        device: one of FFmpeg's device types, such as ``cuda``, or ``auto`` for the first that is
            there and decodes the video's codec; without one there, no device.

    Raises:
        VideoError: missing, not a video, or no such device that decodes it.
    """
    known = hwdevices_available()
    if device not in (AUTO, *known):
        raise VideoError(
            f"this FFmpeg has no hardware decoding on {device!r}; leave hwaccel out, or choose one "
            f"of {', '.join((*known, AUTO))}"
        )
    with open_video(source) as video:
        codec = pick_stream(video, source).codec_context.codec
    able = [each.device_type.name for each in codec.hardware_configs or () if each.is_supported]
    why = f"it does not decode {codec.canonical_name}"
    for name in known if device == AUTO else [device]:
        if name not in able:
            continue
        try:
            HWAccel(name).create(codec)
        except av.error.FFmpegError as error:
            why = error.strerror or why
        else:
            return open_video(source, HWAccel(name, allow_software_fallback=True))
    if device == AUTO:
        return open_video(source)
    raise VideoError(
        f"{device} does not decode {source} on this machine ({why}); leave hwaccel out, or "
        f"choose {AUTO}"
    )

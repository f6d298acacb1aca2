"""Degradations of pristine clips: motion blur, coding by a real encoder, or both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Codec = Literal["none", "libx264", "libx265", "libvpx-vp9", "libsvtav1", "mjpeg"]
Mode = Literal["qp", "crf", "quality"]
Structure = Literal["default", "low_delay_p", "cascade", "intra"]

BLURS = (7, 9, 11, 13)
"""Frames that a blurred frame may be the mean of."""

CASCADE = (5, 4, 5, 1)
"""What is added to the QPs of the P-frames of a cascade, again and again."""

_HIGHEST_QP = 51  # of HEVC with 8 bits
_FOREVER = "9999"  # frames between intra frames


@dataclass(frozen=True)
class _Encoder:
    """What one encoder takes: modes with their range of values, and its usual preset."""

    title: str
    ranges: dict[Mode, tuple[int, int]]
    preset: str | None
    inter: bool = True


_STREAM_CODECS = {
    "libx264": "h264",
    "libx265": "hevc",
    "libvpx-vp9": "vp9",
    "libsvtav1": "av1",
    "mjpeg": "mjpeg",
}

_ENCODERS: dict[str, _Encoder] = {
    "libx264": _Encoder("x264", {"qp": (0, 51), "crf": (0, 51)}, "medium"),
    "libx265": _Encoder("x265", {"qp": (0, 51), "crf": (0, 51)}, "medium"),
    "libvpx-vp9": _Encoder("VP9", {"qp": (0, 63), "crf": (0, 63)}, "4"),
    "libsvtav1": _Encoder("SVT-AV1", {"qp": (1, 63), "crf": (1, 63)}, "8"),
    "mjpeg": _Encoder("JPEG", {"quality": (1, 100)}, None, inter=False),
}


@dataclass(frozen=True)
class Degradation:
    """A degradation: encoder, rate control, frame structure, motion blur.

    Attributes:
        codec: FFmpeg's encoder; ``"mjpeg"`` is baseline JPEG; ``"none"`` blurs without coding.
        mode: ``"qp"`` for a constant quantiser, ``"crf"`` for constant quality, ``"quality"`` for
            the Independent JPEG Group's scale; None without codec.
        value: 0 to 51 for x264 and x265, 0 to 63 for VP9, 1 to 63 for SVT-AV1, each on the
            encoder's own scale, and 1 to 100 for JPEG; None without codec.
        preset: x264's and x265's preset, VP9's ``cpu-used``, SVT-AV1's preset; ``medium``, 4 and 8
            if None.
        structure: ``"default"`` is the encoder's own order of frames, ``"low_delay_p"`` one intra
            frame and then P-frames in display order that refer to up to four earlier ones, as in
            the test models' configuration of that name, ``"cascade"`` the same with x265 and
            ``"qp"`` alone and a QP for each frame as in that configuration: ``value`` for the
            intra frame, then :data:`CASCADE` more, but none above 51; ``"intra"`` intra frames
            only.
        max_bitrate: with ``"crf"``, the most kbit/s, kept by a buffer of two seconds.
        blur: 7, 9, 11 or 13: every frame is the mean of so many in linear light, see
            :func:`vqe_fast.data.blur.blur`; before coding if there is a codec.

    Raises:
        ValueError: what the encoder does not take.
    """

    codec: Codec
    mode: Mode | None = None
    value: int | None = None
    preset: str | None = None
    structure: Structure = "default"
    max_bitrate: int | None = None
    blur: int | None = None

    def __post_init__(self) -> None:
        if self.blur is not None and self.blur not in BLURS:
            raise ValueError(f"blur must be one of {', '.join(map(str, BLURS))}, got {self.blur}")
        if self.codec == "none":
            self._refuse_coding()
            return
        if self.codec not in _ENCODERS:
            raise ValueError(
                f"codec must be one of none, {', '.join(_ENCODERS)}, got {self.codec!r}"
            )
        encoder = _ENCODERS[self.codec]
        if self.mode not in encoder.ranges:
            raise ValueError(
                f"the mode of {self.codec} must be {' or '.join(encoder.ranges)}, got {self.mode}"
            )
        low, high = encoder.ranges[self.mode]
        if self.value is None or not low <= self.value <= high:
            raise ValueError(
                f"{self.mode} of {self.codec} must lie in {low}..{high}, got {self.value}"
            )
        if self.preset is not None and encoder.preset is None:
            raise ValueError(f"{self.codec} has no presets, got {self.preset!r}: leave it out")
        self._check_structure(encoder)
        if self.max_bitrate is not None and (self.mode != "crf" or self.max_bitrate < 1):
            raise ValueError(
                f"max_bitrate must be at least 1 kbit/s and needs the mode crf, got "
                f"{self.max_bitrate} with {self.mode}"
            )

    def _check_structure(self, encoder: _Encoder) -> None:
        if self.structure not in ("default", "low_delay_p", "cascade", "intra"):
            raise ValueError(
                f"structure must be default, low_delay_p, cascade or intra, got {self.structure!r}"
            )
        if self.structure != "default" and not encoder.inter:
            raise ValueError(f"{self.codec} codes intra frames only: leave structure out")
        if self.structure == "cascade" and (self.codec, self.mode) != ("libx265", "qp"):
            raise ValueError(
                f"a cascade of QPs needs the codec libx265 and the mode qp, "
                f"got {self.codec} and {self.mode}"
            )

    def _refuse_coding(self) -> None:
        if self.blur is None:
            raise ValueError("without a codec there must be a blur, got neither")
        given = [
            name
            for name, empty in (
                ("mode", self.mode is None),
                ("value", self.value is None),
                ("preset", self.preset is None),
                ("structure", self.structure == "default"),
                ("max_bitrate", self.max_bitrate is None),
            )
            if not empty
        ]
        if given:
            raise ValueError(f"without a codec there is no {' and no '.join(given)}: leave it out")

    @property
    def name(self) -> str:
        """A short name, unique to the setting, such as ``x265 QP 37 low-delay P``."""
        parts = [] if self.blur is None else [f"blur {self.blur}"]
        if self.codec != "none":
            encoder = _ENCODERS[self.codec]
            scale = "" if self.mode == "quality" else f"{str(self.mode).upper()} "
            parts.append(f"{encoder.title} {scale}{self.value}")
            if self.max_bitrate is not None:
                parts.append(f"max {self.max_bitrate}k")
            if self.structure != "default":
                parts.append("low-delay P" if self.structure == "low_delay_p" else self.structure)
            if self.preset not in (None, encoder.preset):
                parts.append(f"preset {self.preset}")
        return " ".join(parts)

    @property
    def stream_codec(self) -> str:
        """FFmpeg's name of the codec of the result; ``"unknown"`` where blocks play no part."""
        return _STREAM_CODECS.get(self.codec, "unknown")

    @property
    def base_qp(self) -> float | None:
        """The QP that x264 or x265 was asked for, ``value``; None where none was."""
        asked = self.mode == "qp" and self.codec in ("libx264", "libx265")
        return float(self.value) if asked and self.value is not None else None

    def encoder_options(self, frames: int | None = None) -> dict[str, str]:
        """FFmpeg's options of the encoder, for results that repeat on any machine.

        ``"none"`` and ``"mjpeg"`` have none.

        Args:
            frames: how many will be coded at most; only a cascade needs it.

        Raises:
            ValueError: a cascade without a number of frames.
        """
        options = {
            "libx264": self._x264,
            "libx265": lambda: self._x265(frames),
            "libvpx-vp9": self._vp9,
            "libsvtav1": self._svtav1,
        }
        return options[self.codec]() if self.codec in options else {}

    @property
    def _preset(self) -> str:
        return self.preset or _ENCODERS[self.codec].preset or ""

    def _limits(self) -> dict[str, str]:
        if self.max_bitrate is None:
            return {}
        return {"maxrate": f"{self.max_bitrate}k", "bufsize": f"{2 * self.max_bitrate}k"}

    def _x264(self) -> dict[str, str]:
        options = {"preset": self._preset, str(self.mode): str(self.value), **self._limits()}
        if self.structure == "low_delay_p":
            options |= {"bf": "0", "refs": "4", "x264-params": "keyint=infinite:scenecut=0"}
        elif self.structure == "intra":
            options["g"] = "1"
        return options

    def _x265(self, frames: int | None) -> dict[str, str]:
        parameters = [f"{self.mode}={self.value}", "log-level=none", "pools=1", "frame-threads=1"]
        if self.max_bitrate is not None:
            parameters.append(f"vbv-maxrate={self.max_bitrate}")
            parameters.append(f"vbv-bufsize={2 * self.max_bitrate}")
        if self.structure in ("low_delay_p", "cascade"):
            parameters += ["bframes=0", "ref=4", "keyint=-1", "scenecut=0"]
        elif self.structure == "intra":
            parameters.append("keyint=1")
        if self.structure == "cascade":
            if frames is None:
                raise ValueError(f"{self.name} has a QP for each frame: say how many frames")
            # Without info=0 the stream would repeat every zone in words.
            parameters += ["ipratio=1", "info=0", *self._zones(frames)]
        return {"preset": self._preset, "x265-params": ":".join(parameters)}

    def _zones(self, frames: int) -> list[str]:
        """A zone for each P-frame; in zones x265 counts frames from 1."""
        qps = (
            min((self.value or 0) + CASCADE[index % len(CASCADE)], _HIGHEST_QP)
            for index in range(frames - 1)
        )
        zones = "/".join(f"{number},{number},q={qp}" for number, qp in enumerate(qps, start=2))
        return [f"zones={zones}"] if zones else []

    def _vp9(self) -> dict[str, str]:
        value = str(self.value)
        # A bit rate of 0 asks for constant quality, another one bounds it.
        options = {"crf": value, "b": f"{self.max_bitrate or 0}k", "row-mt": "0"}
        options |= {"cpu-used": self._preset, **self._limits()}
        if self.mode == "qp":
            options |= {"qmin": value, "qmax": value}
        if self.structure == "low_delay_p":
            options |= {"lag-in-frames": "0", "auto-alt-ref": "0", "g": _FOREVER}
        elif self.structure == "intra":
            options["g"] = "1"
        return options

    def _svtav1(self) -> dict[str, str]:
        parameters = ["lp=1"]
        options = {"preset": self._preset, str(self.mode): str(self.value), **self._limits()}
        if self.mode == "qp":
            parameters.append("aq-mode=0")
        if self.structure == "low_delay_p":
            parameters += ["pred-struct=1", "scd=0"]
            options["g"] = _FOREVER
        elif self.structure == "intra":
            options["g"] = "1"
        return options | {"svtav1-params": ":".join(parameters)}


def drawn(
    degradations: Sequence[Degradation], count: int, seed: int, checksum: str
) -> list[Degradation]:
    """A random subset of degradations for one clip, in their order, spread over the list.

    Over many clips each of them is drawn equally often.

    Args:
        degradations: to draw from, each once.
        count: how many to draw; all if there are no more.
        seed: another one gives other draws.
        checksum: of the clip's source, all else that the draw depends on.
    """
    total = len(degradations)
    if count >= total:
        return list(degradations)
    digest = hashlib.sha256(f"{seed} {checksum} degradations".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    # One of each of ``count`` parts of the list, as a ring that begins anywhere.
    bounds = np.arange(count + 1) * total // count
    places = generator.integers(total) + generator.integers(bounds[:-1], bounds[1:])
    return [degradations[place] for place in sorted((places % total).tolist())]

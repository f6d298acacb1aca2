"""What is done to pristine clips: motion blur, coding by a real encoder, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Codec = Literal["none", "libx264", "libx265", "libvpx-vp9", "libsvtav1", "mjpeg"]
Mode = Literal["qp", "crf", "quality"]
Structure = Literal["default", "low_delay_p", "intra"]

BLURS = (7, 9, 11, 13)
"""Frames that a blurred frame may be the mean of."""

_FOREVER = "9999"  # frames between intra frames


@dataclass(frozen=True)
class _Encoder:
    """What one encoder takes: modes with their range of values, and its usual preset."""

    title: str
    ranges: dict[Mode, tuple[int, int]]
    preset: str | None
    inter: bool = True


_ENCODERS: dict[str, _Encoder] = {
    "libx264": _Encoder("x264", {"qp": (0, 51), "crf": (0, 51)}, "medium"),
    "libx265": _Encoder("x265", {"qp": (0, 51), "crf": (0, 51)}, "medium"),
    "libvpx-vp9": _Encoder("VP9", {"qp": (0, 63), "crf": (0, 63)}, "4"),
    "libsvtav1": _Encoder("SVT-AV1", {"qp": (1, 63), "crf": (1, 63)}, "8"),
    "mjpeg": _Encoder("JPEG", {"quality": (1, 100)}, None, inter=False),
}


@dataclass(frozen=True)
class Degradation:
    """One way to lose quality.

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
            the test models' configuration of that name, ``"intra"`` intra frames only.
        max_bitrate: with ``"crf"``, the most kbit/s, kept by a buffer of two seconds.
        blur: 7, 9, 11 or 13: every frame is the mean of so many in linear light, see
            :func:`vqe_fast.training.blur.blur`; before coding if there is a codec.

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
        if self.structure not in ("default", "low_delay_p", "intra"):
            raise ValueError(
                f"structure must be default, low_delay_p or intra, got {self.structure!r}"
            )
        if self.structure != "default" and not encoder.inter:
            raise ValueError(f"{self.codec} codes intra frames only: leave structure out")
        if self.max_bitrate is not None and (self.mode != "crf" or self.max_bitrate < 1):
            raise ValueError(
                f"max_bitrate must be at least 1 kbit/s and needs the mode crf, got "
                f"{self.max_bitrate} with {self.mode}"
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
        """A short name, another one for each setting, such as ``x265 QP 37 low-delay P``."""
        parts = [] if self.blur is None else [f"blur {self.blur}"]
        if self.codec != "none":
            encoder = _ENCODERS[self.codec]
            scale = "" if self.mode == "quality" else f"{str(self.mode).upper()} "
            parts.append(f"{encoder.title} {scale}{self.value}")
            if self.max_bitrate is not None:
                parts.append(f"max {self.max_bitrate}k")
            if self.structure != "default":
                parts.append({"low_delay_p": "low-delay P", "intra": "intra"}[self.structure])
            if self.preset not in (None, encoder.preset):
                parts.append(f"preset {self.preset}")
        return " ".join(parts)

    @property
    def base_qp(self) -> float | None:
        """The QP that x264 or x265 was asked for; None where none was."""
        asked = self.mode == "qp" and self.codec in ("libx264", "libx265")
        return float(self.value) if asked and self.value is not None else None

    def encoder_options(self) -> dict[str, str]:
        """The options as FFmpeg's encoder takes them, for results that repeat on any machine.

        ``"none"`` and ``"mjpeg"`` have none.
        """
        options = {
            "libx264": self._x264,
            "libx265": self._x265,
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

    def _x265(self) -> dict[str, str]:
        parameters = [f"{self.mode}={self.value}", "log-level=none", "pools=1", "frame-threads=1"]
        if self.max_bitrate is not None:
            parameters.append(f"vbv-maxrate={self.max_bitrate}")
            parameters.append(f"vbv-bufsize={2 * self.max_bitrate}")
        if self.structure == "low_delay_p":
            parameters += ["bframes=0", "ref=4", "keyint=-1", "scenecut=0"]
        elif self.structure == "intra":
            parameters.append("keyint=1")
        return {"preset": self._preset, "x265-params": ":".join(parameters)}

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

"""Options of an enhancement, each defined once.

The API (:func:`vqe_fast.video.enhance_video`), the command line, the fingerprint of a run that may
be resumed, the report and ``docs/options.md`` are made from these fields. Imports neither torch nor
FFmpeg.
"""

import inspect
import os
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from vqe_fast._precision import Precision
from vqe_fast._whole_number import whole_number
from vqe_fast.video.errors import VideoError
from vqe_fast.video.quality import DEFAULT_MODEL

if TYPE_CHECKING:
    from torch import nn

Interlaced = Literal["refuse", "fields"]
"""What to do with interlaced video."""

Container = Literal["given", "auto"]
"""Which container to write."""

OnChange = Literal["refuse", "scale"]
"""What to do where the size or the pixel format changes in the middle."""

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class About:
    """Description of an option, beside its name, type and default.

    Attributes:
        doc: for the API, whole sentences.
        help: for the command line, short.
        shown_default: how the command line describes the default; None for the value itself.
        least: the smallest value that the command line takes.
        most: the largest.
        cli_type: its type on the command line, where that is another.
        cli_name: its name on the command line, likewise.
        decides_frames: whether other values make other frames: resuming with one is refused.
    """

    doc: str
    help: str
    shown_default: str | None = None
    least: float | None = None
    most: float | None = None
    cli_type: Any = None
    cli_name: str | None = None
    decides_frames: bool = True


def _about(doc: str, help: str, **rest: Any) -> dict[str, About]:
    return {"about": About(doc, help, **rest)}


@dataclass(frozen=True)
class ModelOptions:
    """Options of the model: weights, device, precision, QP, tiles, memory, clips."""

    model: "str | nn.Module | None" = field(
        default=None,
        metadata=_about(
            "a registered name, or a module with a ``spec``; None for the model that ``weights`` "
            f"belong to, or for ``{DEFAULT_MODEL}``. On a CPU one that sees a single frame "
            "runs in several threads, in copies that share its parameters.",
            "A model's name instead; `vqe-fast models` lists them.",
            shown_default="that of --quality or --weights",
            cli_type=str | None,
        ),
    )
    weights: str | os.PathLike[str] | None = field(
        default=None,
        metadata=_about(
            "``.safetensors`` file for ``model``, or a ``.pth`` file of the authors of BasicVSR or "
            "PeQuENet. Without one, a registered name gets the weights "
            "that ship with the package, and a module keeps its own.",
            "Weights (.safetensors, or authors' .pth) instead of those that ship.",
            cli_type=Path | None,
            decides_frames=False,  # what is in the file does
        ),
    )
    look: str = field(
        default="faithful",
        metadata=_about(
            '``"faithful"``, as close to what the video was before compression as the model gets; '
            '``"sharp"`` for the weights that ship beside those and were trained for what viewers '
            'see, at a loss of PSNR; or ``"sharp:0.5"`` for a strength from 0 to 1 between them. '
            "The weights are interpolated, so every look takes the same time.",
            "faithful, sharp, or sharp:0.5 for a strength from 0 to 1.",
        ),
    )
    sharpen: float = field(
        default=0.0,
        metadata=_about(
            "amount of an unsharp mask over the luma of every frame after the model, which is how "
            "ASTF ends; 0 for none. Edges get contrast and so does noise, and PSNR falls as a "
            "rule, as ASTF's paper measures, too.",
            "Amount of sharpening after the model, such as 0.5; lowers PSNR as a rule.",
            shown_default="none",
            least=0,
        ),
    )
    model_options: Mapping[str, Any] | None = field(
        default=None,
        metadata=_about(
            "options that a registered ``model`` is built with, by name, beside those that its "
            "weights were trained with.",
            "An option of the model, NAME=VALUE; may be given several times.",
            shown_default="as its weights were trained",
            cli_type=list[str] | None,
            cli_name="option",
        ),
    )
    device: str = field(
        default="auto",
        metadata=_about(
            '``"auto"`` (the first GPU if there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"``…',
            "auto, cpu, cuda, cuda:1 …",
        ),
    )
    precision: Precision = field(
        default="auto",
        metadata=_about(
            '``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``. ``"auto"`` goes by processor and '
            "model alone: bfloat16 on a CPU with instructions for it (AVX512-BF16, AMX, BF16 of "
            "Arm), float16 on a GPU from compute capability 7.0 on, for a model with kernels or "
            "matrices in float32 that changes a test picture by the same in 16 bits, within a "
            "tenth of an 8-bit step in the root mean square and one step at most; else float32. "
            "Weights that a module brings in 16 bits, or in several dtypes, stay as they are.",
            "auto takes 16 bits where processor and model suit them.",
        ),
    )
    hwaccel: str | None = field(
        default=None,
        metadata=_about(
            "decode on a device of FFmpeg's, such as ``cuda``, or ``auto`` for the first that is "
            "there, and without one as always; None for decoding without. What a device cannot "
            "decode of a codec that it knows is decoded without it. It has not been tried on "
            "hardware.",
            "Decode on a device: cuda or another that FFmpeg knows, or auto.",
            shown_default="none",
        ),
    )
    interlaced: Interlaced = field(
        default="refuse",
        metadata=_about(
            '``"refuse"``, or ``"fields"`` to enhance the two fields of a frame as pictures of '
            "half the height, whose neighbours are fields of the same rows, and to write "
            "interlaced video again.",
            "Refuse interlaced video, or enhance its fields.",
        ),
    )
    on_change: OnChange = field(
        default="refuse",
        metadata=_about(
            '``"refuse"`` where size or pixel format change in the middle of the video, or '
            '``"scale"`` to bring what follows to those of the first frame before enhancement.',
            "Refuse a change of size or pixel format, or scale what follows.",
        ),
    )
    qp: float | None = field(
        default=None,
        metadata=_about(
            "of all frames, for a model that takes QPs; None for that of each frame in its stream.",
            "QP of all frames.",
            shown_default="that of each in its stream",
            least=0,
            most=63,
        ),
    )
    tile: int | None = field(
        default=None,
        metadata=_about(
            "side in pixels of the tiles that frames are cut into, at least 32; None for whole "
            "frames as long as memory allows. Tiles change nothing, unless the model is recurrent "
            "or sees the whole frame: such a model gets tiles only if asked for, or after memory "
            "has run out.",
            "Pixels a side of tiles.",
            shown_default="whole frames if memory allows",
            least=32,
        ),
    )
    max_memory: int | str | None = field(
        default=None,
        metadata=_about(
            'what the model may take on its device beside its weights, in bytes or as ``"2GiB"``; '
            "None for what is free. Where that is little, tiles, clips and the number of frames at "
            "once go by it, and another run may round otherwise; an amount that is given stays.",
            "What the model may take, such as 2GiB.",
            shown_default="what is free",
            cli_type=str | None,
            decides_frames=False,  # only through the tiles, which a resumed run keeps to
        ),
    )
    clip_frames: int | None = field(
        default=None,
        metadata=_about(
            "frames that a recurrent model sees together, at least 13, six of them shared with "
            "each neighbour; None for up to 48 as memory allows, or 24 for a model with a "
            "stream, which gives a frame when it has seen so many from it on.",
            "Frames that a recurrent model sees together.",
            shown_default="up to 48 as memory allows",
            least=13,
        ),
    )


@dataclass(frozen=True)
class EncodeOptions:
    """Options of encoder and container: codec, rate factor or size, preset, pixel format, tags."""

    codec: str = field(
        default="libx264",
        metadata=_about(
            "``libx264``, ``libx265``, ``libsvtav1``, ``libvpx-vp9``, ``ffv1`` (lossless), "
            "``prores_ks``, ``dnxhd`` (DNxHR); NVIDIA's ``h264_nvenc``, ``hevc_nvenc``, "
            "``av1_nvenc`` and Intel's ``h264_qsv``, ``hevc_qsv``, ``av1_qsv``, which have not "
            "been tried on their hardware; or ``source`` for the one that writes the source's "
            "codec without hardware.",
            "Encoder: libx264, libx265, libsvtav1, libvpx-vp9, ffv1 (lossless), prores_ks, dnxhd "
            "(DNxHR), h264_nvenc, hevc_nvenc, av1_nvenc, h264_qsv, hevc_qsv, av1_qsv, or source "
            "(that of INPUT's codec).",
        ),
    )
    crf: int | None = field(
        default=None,
        metadata=_about(
            "constant rate factor of the encoder, smaller is better, 0 is lossless; None for its "
            "default here: 18, 20, 25 and 24. Hardware takes it as the quality it aims at (``cq``, "
            "``global_quality``): 18 for H.264, else 20. ``ffv1`` is always lossless, and the "
            "profiles of ``prores_ks`` and ``dnxhd`` decide their quality: they take none.",
            "Quality of the encoder, smaller is better, 0 is lossless.",
            shown_default="18 for libx264, 20 for libx265, 25 for libsvtav1, 24 for libvpx-vp9",
        ),
    )
    target_size: int | str | None = field(
        default=None,
        metadata=_about(
            'size of the target in bytes, as ``"700MiB"``, or ``"source"`` for that of the source, '
            "in place of a rate factor: the one is taken at which samples of the enhanced video, "
            "eight of two seconds, suggest the largest file that is no larger. A video of less "
            "than 16 seconds is enhanced twice.",
            "Size of OUTPUT, such as 700MiB, or source (that of INPUT), instead of --crf.",
            shown_default="what the quality takes",
            cli_type=str | None,
        ),
    )
    preset: str | None = field(
        default=None,
        metadata=_about(
            "the encoder's preset; None for its own choice. Of ``prores_ks`` it is the profile "
            "(``proxy``, ``lt``, ``standard``, ``hq``, ``4444``, ``4444xq``), and of ``dnxhd`` "
            "too (``dnxhr_lb``, ``dnxhr_sq``, ``dnxhr_hq``, ``dnxhr_hqx``, ``dnxhr_444``); None "
            "for ``hq`` or ``4444``, and for ``dnxhr_hq``, ``dnxhr_hqx`` or ``dnxhr_444``, as the "
            "pixel format asks.",
            "Speed of the encoder; the profile of prores_ks (proxy to 4444xq) and dnxhd (dnxhr_lb "
            "to dnxhr_444).",
            shown_default="the encoder's; by pixel format",
        ),
    )
    pix_fmt: str | None = field(
        default=None,
        metadata=_about(
            "FFmpeg's name of the pixel format to convert to before enhancement, such as "
            "``yuv420p10le``; None for the source's own: 8 to 16 bits, 4:2:0, 4:2:2, 4:4:4 or "
            "grey.",
            "Pixel format to convert to, such as yuv420p10le.",
            shown_default="INPUT's",
        ),
    )
    container: Container = field(
        default="given",
        metadata=_about(
            '``"given"`` for the one that the suffix of the target names, or ``"auto"`` for '
            "another where that one cannot hold all that the source has: the first of ``.mp4``, "
            "``.mov``, ``.mkv`` and ``.webm`` that can takes the place of the suffix, and "
            "``target`` in the report is the file that was written.",
            "given by OUTPUT's suffix, or auto for another where that one cannot hold all.",
            decides_frames=False,
        ),
    )
    tag: bool = field(
        default=True,
        metadata=_about(
            "write into the output's tags by what and how it was enhanced: ``ENHANCED_BY`` in "
            "Matroska and WebM, the program that made the file in MP4, the name of the encoder in "
            "QuickTime, which is cut after 31 characters.",
            "Say in OUTPUT's tags how it was enhanced.",
            decides_frames=False,
        ),
    )


@dataclass(frozen=True)
class SegmentOptions:
    """Options of segments: their length, worker processes, resuming."""

    segment_seconds: float | None = field(
        default=None,
        metadata=_about(
            "enhance the video in segments of about that length, and join them. Each sees as much "
            "of its neighbours as the model needs: the frames are what one pass gives, under a "
            "recurrent model within what a seam between its clips changes. Finished segments are "
            "kept in the folder TARGET.parts until the target is complete.",
            "Work in segments of about that length, which are kept if interrupted.",
            shown_default="one pass; 30 with --workers or --resume",
        ),
    )
    workers: int | None = field(
        default=None,
        metadata=_about(
            "processes that enhance segments at once, each on a GPU of its own, or on a CPU with "
            "its share of the cores; segments last 30 seconds unless ``segment_seconds`` says "
            "otherwise. None for one, or on a cluster for as many as it has room for.",
            "Processes to share segments, each with a GPU, or on a CPU.",
            shown_default="1; with --cluster as many as fit",
            least=1,
            decides_frames=False,
        ),
    )
    resume: bool = field(
        default=False,
        metadata=_about(
            "go on with what an interrupted run has left in TARGET.parts, if there is such a "
            "folder; source and options have to be the same. Without it such a folder is refused.",
            "Go on with the segments in OUTPUT.parts.",
            decides_frames=False,
        ),
    )

    cluster: str | None = field(
        default=None,
        metadata=_about(
            "enhance segments on a Ray cluster: ``auto`` for the one that runs here or that "
            "``RAY_ADDRESS`` names, ``ray://HOST:10001``, ``HOST:PORT``, or ``local`` for one of "
            "this machine alone. Sources have to be where every node reads them. Needs the extra "
            "``cluster``.",
            "Enhance segments on a Ray cluster: auto, local, ray://HOST:10001 or HOST:PORT.",
            shown_default="none",
            decides_frames=False,
        ),
    )
    worker_cpus: int | None = field(
        default=None,
        metadata=_about(
            "cores of each worker on a cluster; None for what suits its nodes.",
            "Cores of each worker on a cluster.",
            shown_default="what suits the nodes",
            least=1,
            decides_frames=False,
        ),
    )
    worker_gpus: float | None = field(
        default=None,
        metadata=_about(
            "GPUs of each worker on a cluster, 0.5 for two workers on one; None for one where "
            "there are any.",
            "GPUs of each worker on a cluster, such as 0.5.",
            shown_default="1 where there are any",
            least=0,
            decides_frames=False,
        ),
    )

    @property
    def is_asked_for(self) -> bool:
        """Whether the video is to be enhanced in segments."""
        return (
            replace(self, workers=None if self.workers == 1 else self.workers) != SegmentOptions()
        )


GROUPS = (ModelOptions, EncodeOptions, SegmentOptions)
"""All classes of options, in the order in which they are shown."""


def all_options() -> Iterator[tuple[type, "Field[Any]", About]]:
    """The class, the field and the description of each option."""
    for group in GROUPS:
        for each in fields(group):
            yield group, each, each.metadata["about"]


def parse_options(
    values: Mapping[str, Any],
) -> tuple[ModelOptions, EncodeOptions, SegmentOptions]:
    """Instances of the classes of options, from values by name.

    Raises:
        TypeError: there is none of a name.
        VideoError: one that is a whole number is something else.
    """
    names = [each.name for _, each, _ in all_options()]
    if unknown := sorted(values.keys() - set(names)):
        raise TypeError(f"there is no option {unknown[0]!r}; the options are {', '.join(names)}")

    def of(group: type) -> dict[str, Any]:
        return {
            each.name: _whole(each, values[each.name])
            for each in fields(group)
            if each.name in values
        }

    return (
        ModelOptions(**of(ModelOptions)),
        EncodeOptions(**of(EncodeOptions)),
        SegmentOptions(**of(SegmentOptions)),
    )


def count_of_frames(frames: int | None) -> int | None:
    """How many frames to take, as an int, or None for all; VideoError if it is less than one."""
    try:
        return None if frames is None else whole_number("the number of frames", frames, 1)
    except ValueError as error:
        raise VideoError(str(error)) from None


def asked_for(*options: Any, decide_frames: bool = False) -> dict[str, Any]:
    """Name → value of all options of these instances, in JSON's types.

    Args:
        options: instances of the classes of options.
        decide_frames: leave out those that do not.
    """
    return {
        each.name: _plain(getattr(group, each.name))
        for group in options
        for each in fields(group)
        if each.metadata["about"].decides_frames or not decide_frames
    }


def with_options(function: Function) -> Function:
    """Puts the options in place of ``**options`` in the signature and ``{options}`` in the text."""
    signature = inspect.signature(function)
    kept = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    added = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for _, each, _ in all_options()
        if each.name not in signature.parameters
    ]
    function.__signature__ = signature.replace(parameters=kept + added)  # type: ignore[attr-defined]
    lines = (f"{each.name}: {about.doc}" for _, each, about in all_options())
    told = "\n".join(
        textwrap.fill(line, 100, initial_indent=" " * 8, subsequent_indent=" " * 12)
        for line in lines
    )
    function.__doc__ = (function.__doc__ or "").replace("        {options}", told)
    return function


def _whole(option: "Field[Any]", value: Any) -> Any:
    """``value``, as Python's int where that is what the option takes."""
    if value is None or option.type not in (int, int | None):
        return value
    try:
        return whole_number(option.name, value)
    except ValueError as error:
        raise VideoError(str(error)) from None


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else type(value).__name__

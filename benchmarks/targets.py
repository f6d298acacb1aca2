"""What each operator, model and tool was asked to reach, and what was measured of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vqe_fast._memory import in_words
from vqe_fast.bench.format import ratio_in_words
from vqe_fast.bench.record import Row

MEBI = 1 << 20


@dataclass(frozen=True)
class Target:
    """Something asked for.

    Attributes:
        operator: of the rows that it is about.
        device: ``cpu`` or ``cuda``.
        text: what is compared with what.
        asked: the least, or with ``at_most`` the most.
        measure: the figure, from the rows of a machine; None where rows are missing.
        in_words: the figure as people read it.
        at_most: whether less is better.
    """

    operator: str
    device: str
    text: str
    asked: float
    measure: Callable[[Sequence[Row]], float | None]
    in_words: Callable[[float], str]
    at_most: bool = False

    def is_met(self, found: float) -> bool:
        """Whether a figure is as good as asked."""
        return found <= self.asked if self.at_most else found >= self.asked


def verdicts(rows, device, operators):
    """What was asked of some operators: (operator, what, how much, measured, verdict) each."""
    for target in TARGETS:
        if target.device != device or target.operator not in operators:
            continue
        found = target.measure(rows)
        limit = f"{'at most' if target.at_most else 'at least'} {target.in_words(target.asked)}"
        if found is None:
            measured, verdict = "–", "not measured"
        else:
            measured = target.in_words(found)
            verdict = "met" if target.is_met(found) else "missed"
        yield target.operator, target.text, limit, measured, verdict


def times(value):
    """``"3.4×"``; without a fraction that is nothing."""
    words = ratio_in_words(value)
    return f"{words.rstrip('0').rstrip('.') if '.' in words else words}×"


def percent(value):
    """``"62 %"``."""
    return f"{100 * value:.0f} %"


def fps(value):
    """``"12.3 fps"``."""
    return f"{value:.3g} fps"


def find(rows, implementation="vqe_fast", **fields):
    """The measured row with these fields, or nothing."""
    for row in rows:
        wanted = fields | {"implementation": implementation}
        if row.median and all(getattr(row, name) == value for name, value in wanted.items()):
            return row
    return None


def against(alternative=None, *, other_dtype=None, **fields):
    """How many times longer an alternative takes.

    Args:
        alternative: its name; None for the best.
        other_dtype: of the alternative, where it is another one.
        **fields: of the row of this package.
    """

    def measure(rows):
        own = find(rows, **fields)
        if own is None:
            return None
        others = [
            row.median
            for row in rows
            if row.group == own.group
            and row.role == "alternative"
            and row.median is not None
            and row.dtype == (other_dtype or own.dtype)
            and alternative in (None, row.implementation)
        ]
        return min(others) / own.median if others else None

    return measure


def share(of, **fields):
    """The part of a ceiling, ``copy`` or ``matrix product``, that is reached."""
    work = {"copy": "work_bytes", "matrix product": "work_flops"}[of]

    def measure(rows):
        own = find(rows, **fields)
        ceiling = find(rows, "PyTorch", operator="ceiling", case=of)
        if own is None or ceiling is None or not getattr(own, work):
            return None
        return getattr(own, work) / own.median / (getattr(ceiling, work) / ceiling.median)

    return measure


def frames_per_second(best_of=("vqe_fast",), **fields):
    """Of the best of some implementations."""

    def measure(rows):
        found = [find(rows, name, **fields) for name in best_of]
        rates = [row.frames / row.median for row in found if row]
        return max(rates, default=None)

    return measure


def peak(**fields):
    """Bytes."""

    def measure(rows):
        own = find(rows, **fields)
        return own and own.peak_bytes

    return measure


def cost(implementation, than, **fields):
    """How many times longer one implementation takes than another."""

    def measure(rows):
        one, other = (find(rows, name, **fields) for name in (implementation, than))
        return one.median / other.median if one and other else None

    return measure


def warp_error(than, **fields):
    """How many times larger the warp error is than that of another implementation."""

    def measure(rows):
        own, other = (find(rows, name, **fields) for name in ("vqe_fast", than))
        return own.warp_error / other.warp_error if own and other else None

    return measure


def _fields(operator, case, shape, dtype="float32", direction="forward", device="cpu"):
    return {
        "operator": operator,
        "case": case,
        "shape": shape,
        "dtype": dtype,
        "direction": direction,
        "device": device,
    }


def _charbonnier():
    fields = _fields("charbonnier", "charbonnier_loss", (4, 3, 256, 256), direction="both")
    text = "(4, 3, 256, 256) float32, forward and backward, against "
    yield Target("charbonnier", "cpu", text + "eager", 3, against("eager", **fields), times)
    yield Target(
        "charbonnier", "cpu", text + "torch.compile", 1, against("torch.compile", **fields), times
    )
    fields = _fields("charbonnier", "charbonnier_loss", (32, 3, 1080, 1920), device="cuda")
    text = "(32, 3, 1080, 1920) float32, forward, of copy bandwidth"
    yield Target("charbonnier", "cuda", text, 0.75, share("copy", **fields), percent)


def _ssim():
    for shape, asked in (((4, 3, 256, 256), 30), ((32, 1, 64, 64), 30), ((1, 1, 1080, 1920), 60)):
        fields = _fields("ssim", "ssim_loss", shape, direction="both")
        text = f"{shape} float32, forward and backward, against the best"
        yield Target("ssim", "cpu", text, asked, against(**fields), times)
    fields = _fields("ssim", "ssim_loss", (4, 3, 256, 256), direction="both")
    text = "time of ssim_mse_loss for one of ssim_loss"
    measure = cost("vqe_fast ssim_mse_loss", "vqe_fast", **fields)
    yield Target("ssim", "cpu", text, 1.15, measure, times, at_most=True)
    fields = _fields("ssim", "ssim_loss", (16, 3, 1080, 1920), device="cuda")
    text = "(16, 3, 1080, 1920) float32, forward, of copy bandwidth"
    yield Target("ssim", "cuda", text, 0.35, share("copy", **fields), percent)
    measure = against("fused_ssim", **fields | {"direction": "both"})
    text = "(16, 3, 1080, 1920) float32, forward and backward, against fused-ssim"
    yield Target("ssim", "cuda", text, 1.5, measure, times)


def _attention():
    case = "cross_frame_attention"
    for dtype, direction, asked in (
        ("float32", "forward", 1.2),
        ("bfloat16", "forward", 1.15),
        ("float32", "both", 1.2),
    ):
        words = "forward" if direction == "forward" else "forward and backward"
        for channels in (128, 256):
            fields = _fields("attention", case, (1, channels, 64, 96), dtype, direction)
            text = (
                f"6,144 positions ({channels}, {2 * channels}) {dtype}, {words}, against the best"
            )
            yield Target("attention", "cpu", text, asked, against(**fields), times)
    fields = _fields("attention", case, (1, 128, 120, 208))
    text = "24,960 positions (128, 256) float32, forward, memory"
    yield Target("attention", "cpu", text, 64 * MEBI, peak(**fields), in_words, at_most=True)
    fields = _fields("attention", case, (1, 128, 270, 480), "bfloat16", device="cuda")
    wider = fields | {"shape": (1, 256, 270, 480)}
    text = "129,600 positions ({}) bfloat16, {}"
    for of, channels, asked in ((fields, "128, 256", 0.6), (wider, "256, 512", 0.5)):
        words = text.format(channels, "forward, of the matrix product's rate")
        measure = share("matrix product", **of)
        yield Target("attention", "cuda", words, asked, measure, percent)
    both = fields | {"direction": "both"}
    for of, direction, asked in ((fields, "forward", 1.3), (both, "forward and backward", 2)):
        words = text.format("128, 256", f"{direction}, against the best")
        yield Target("attention", "cuda", words, asked, against(**of), times)


def _modulation():
    shape = (1, 64, 540, 960)
    frame, blocks = "qp_modulate, a QP a frame, NCHW", "qp_modulate, a QP a 16×16 block, NCHW"
    for case, direction, name, asked in (
        (frame, "forward", "eager", 2),
        (frame, "both", "eager", 2),
        (blocks, "forward", "eager", 4),
        (blocks, "forward", "torch.compile", 1),
        (blocks, "both", "eager", 2),
    ):
        words = "forward" if direction == "forward" else "forward and backward"
        words = f"{case.partition(', ')[2].partition(', NCHW')[0]}, {words}, against {name}"
        measure = against(name, **_fields("modulation", case, shape, direction=direction))
        yield Target("modulation", "cpu", words, asked, measure, times)
    fields = _fields("modulation", "convolution of modulated features", shape)
    text = "time of a convolution with folded gains for one without modulation"
    measure = cost("vqe_fast folded", "not modulated", **fields)
    yield Target("modulation", "cpu", text, 1.05, measure, times, at_most=True)
    case = "qp_modulate, a QP a frame, channels_last"
    fields = _fields("modulation", case, (16, 64, 540, 960), "bfloat16", device="cuda")
    text = "(16, 64, 540, 960) bfloat16, a QP a frame, forward, of copy bandwidth"
    yield Target("modulation", "cuda", text, 0.75, share("copy", **fields), percent)


def _fusion():
    fields = _fields("fusion", "astf_fuse, sharpened", (1, 3, 1080, 1920))
    text = "1080p RGB, sharpened, forward, against "
    yield Target("fusion", "cpu", text + "eager", 10, against("eager", **fields), times)
    yield Target("fusion", "cpu", text + "OpenCV", 2, against("opencv", **fields), times)
    fields = _fields("fusion", "astf_fuse, sharpened", (8, 3, 1080, 1920), device="cuda")
    text = "(8, 3, 1080, 1920), sharpened, forward, of copy bandwidth"
    yield Target("fusion", "cuda", text, 0.5, share("copy", **fields), percent)


def _block_match():
    fields = _fields("block_match", "block_match, blocks of 8×8", (1, 1, 1080, 1920))
    text = "1080p, blocks of 8×8"
    yield Target("block_match", "cpu", text, 30, frames_per_second(**fields), fps)
    measure = against("opencv DIS", **fields)
    yield Target("block_match", "cpu", f"{text}, against OpenCV's DIS", 3, measure, times)
    text = f"{text}, warp error for one of OpenCV's DIS"
    measure = warp_error("opencv DIS", **fields)
    yield Target("block_match", "cpu", text, 1.1, measure, times, at_most=True)


def _models():
    fields = {"operator": "model", "case": "pequenet", "shape": (240, 416), "device": "cpu"}
    text = "pequenet 416×240, stream against plain, "
    measure = against("plain", **fields)
    yield Target("model", "cpu", text + "float32", 1.4, measure, times)
    bf16 = fields | {"implementation": "vqe_fast bf16"}
    measure = against("plain bf16", **bf16)
    yield Target("model", "cpu", text + "bfloat16", 1.4, measure, times)
    measure = against("plain", other_dtype="float32", **bf16)
    yield Target("model", "cpu", text + "bfloat16 against float32", 4, measure, times)
    ways = ("vqe_fast", "vqe_fast CUDA graph", "vqe_fast compiled")
    for model, asked in (("pequenet", 12), ("carcnn", 50), ("dualres_s", 300)):
        text = f"{model}{', exact attention' * (model == 'pequenet')}, 1920×1080, bfloat16"
        fields = {"operator": "model", "case": model, "shape": (1080, 1920), "device": "cuda"}
        measure = frames_per_second(ways, **fields)
        yield Target("model", "cuda", text, asked, measure, fps)


def _video():
    fields = _fields("video", "identity", (720, 1280))
    text = "identity 1280×720, throughput of ffmpeg's"
    yield Target("video", "cpu", text, 0.85, against("ffmpeg", **fields), times)
    measure = frames_per_second(**_fields("video", "dualres_s", (1080, 1920), device="cuda"))
    yield Target("video", "cuda", "dualres_s 1920×1080, from file to file", 100, measure, fps)


TARGETS = [
    target
    for part in (
        _attention,
        _block_match,
        _charbonnier,
        _fusion,
        _modulation,
        _ssim,
        _models,
        _video,
    )
    for target in part()
]

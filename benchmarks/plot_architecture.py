"""Draws docs/architecture: the floors of the package, the way of a frame, the way of a gradient.

Run: ``python benchmarks/plot_architecture.py``. The same code gives the same bytes. A name that the
package does not have, and text that is wider than its box, are errors.
"""

import importlib
import sys
import textwrap
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

sys.path.insert(0, str(Path(__file__).parent))
from floors import PACKAGES, VIDEO

TARGET = Path(__file__).parents[1] / "docs" / "architecture"
PAPER, INK, QUIET, LINE = "#fbfaf6", "#1f2430", "#5b6270", "#3f6fb5"
BLUE, GREEN, SAND, ROSE, GREY = "#dfe9f7", "#dff0e2", "#f6ecd2", "#f8e0de", "#e9e9e6"
STRIP = "#efede6"
MONO, SANS = "DejaVu Sans Mono", "DejaVu Sans"
WIDTH, GAP = 1.9, 0.25
_DASHES = (0, (4, 2))

ROOMS = {
    "_atomic_write": "whole files, or none",
    "_machine": "what a machine is called",
    "_memory": "how much memory there is",
    "_precision": "names of precisions",
    "_suggest": "the nearest names",
    "_version": "the version",
    "_whole_number": "integers as arguments",
    "reference": "operators in plain PyTorch",
    "storage": "files of S3, SFTP, HTTP…: RemotePath, blocks, leases, uploads",
    "kernels": "Triton kernels and their launchers",
    "ops": "operators: checks, autograd, autocast, dispatch to a kernel",
    "_info": "versions, what runs where",
    "nn": "modules and losses",
    "weights": "weights that ship, cards",
    "executors": "workers that run tasks: here, in processes, on Ray",
    "models": "networks, registry, identity of a model, precision",
    "video": "from file to file: see the right side",
    "metrics": "PSNR, flicker, BD-rate",
    "data": "clips, degradation, pairs, windows, loader",
    "training": "recipes, losses, loop",
    "comparison": "two videos on a page",
    "inspection": "how a file was coded",
    "bench": "timing of operators",
    "evaluation": "protocols, restorers, tables",
    "demonstration": "what make demo shows",
    "cli": "vqe-fast: a file for each command",
    "errors": "VideoError",
    "quality": "which model a quality is",
    "look": "faithful or sharp, and how much",
    "options": "every option, defined once",
    "frames": "planes, colours, chroma, duplicates, scene cuts, tensors",
    "threads": "Channel, Stage, Ahead, run_pipeline, Timings",
    "media": "demuxer, decoder, encoder, muxer, remux, containers",
    "inference": "loading, memory, tiling, runners, strength",
    "qp": "QPs of streams; QPProvider",
    "interlacing": "refused, or field by field",
    "pipeline": "bundle, analyze, enhancer, run",
    "report": "Outcome, EnhanceReport",
    "events": "what a run tells, for bar, log and metrics",
    "session": "EnhanceSession: options, and what is made of them",
    "segments": "split, scheduler, tasks of workers, parts, concat",
    "enhance": "enhance_video",
    "enhance_many": "enhance_videos",
    "estimate": "estimate_video: time and size",
}


def column(number):
    """The left side of a column."""
    return 0.25 + number * (WIDTH + GAP)


def centre(number):
    """Its middle."""
    return column(number) + WIDTH / 2


class Picture:
    """A figure in inches from the lower left; text has to fit into its box."""

    def __init__(self, width, height):
        self.figure = Figure((width, height), facecolor=PAPER)
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.set_axis_off()
        self._limits = []

    def area(self, x, y, width, height, fill, edge="none"):
        """A rectangle with round corners."""
        style = "round,pad=0,rounding_size=0.06"
        patch = FancyBboxPatch((x, y), width, height, style, fc=fill, ec=edge, lw=0.9, zorder=1)
        self.axes.add_patch(patch)

    def text(self, x, y, text, size=8.0, color=INK, *, mono=False, bold=False, align="left"):
        """A line; ``y`` is its baseline."""
        family, weight = MONO if mono else SANS, "bold" if bold else "normal"
        style = {"size": size, "color": color, "family": family, "weight": weight}
        return self.axes.text(x, y, text, ha=align, va="baseline", zorder=3, **style)

    def box(self, x, y, width, height, title, about="", home="", fill=BLUE):
        """A name, the module it lives in, which must have it, and what it does."""
        self.area(x, y, width, height, fill, INK)
        middle, top = x + width / 2, y + height - 0.19
        lines = [self.text(middle, top, title, 8.2, mono=True, bold=True, align="center")]
        if home:
            module = importlib.import_module(f"vqe_fast.{home}")
            attrgetter(title)(module)
            end = "/__init__.py" if hasattr(module, "__path__") else ".py"
            name = home.removeprefix("video.").replace(".", "/") + end
            top -= 0.145
            lines.append(self.text(middle, top, name, 6.8, LINE, mono=True, align="center"))
        top -= 0.035
        for line in textwrap.wrap(about, int(width / 0.064)):
            top -= 0.125
            lines.append(self.text(middle, top, line, 7.4, QUIET, align="center"))
        self._limits.append((title, (x, y, x + width, y + height), lines))

    def arrow(self, *points, dashed=False):
        """From point to point, with a head at the end."""
        for start, end in pairwise(points):
            head = {"arrowstyle": "-|>" if end is points[-1] else "-", "mutation_scale": 9}
            line = {"lw": 1.3, "ls": _DASHES if dashed else "-", "color": INK}
            self.axes.add_patch(
                FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, zorder=2, **head, **line)
            )

    def lane(self, y, height, title, about):
        """A strip over the whole width, for what belongs together."""
        self.area(0.12, y, 10.76, height, STRIP)
        self.text(2.45, y + height - 0.2, title, 8.6, bold=True)
        self.text(4.65, y + height - 0.2, about, 7.6, QUIET)

    def row(self, y, height, boxes, fill, *, first=0, turned=False):
        """Boxes in columns from ``first`` on, with arrows between them."""
        for number, (title, home, about) in enumerate(boxes, first):
            self.box(column(number), y, WIDTH, height, title, about, home, fill)
            if number > first:
                ends = [(column(number) - GAP, y + height / 2), (column(number), y + height / 2)]
                self.arrow(*(reversed(ends) if turned else ends))

    def save(self, name):
        """Writes the SVG, the same for the same drawing."""
        self.figure.canvas.draw()
        inverse = self.axes.transData.inverted()
        for title, (left, bottom, right, top), lines in self._limits:
            for line in lines:
                (x0, y0), (x1, y1) = inverse.transform(line.get_window_extent().get_points())
                if x0 < left or x1 > right or y0 < bottom or y1 > top:
                    raise ValueError(f"{name}: {line.get_text()!r} does not fit into {title}")
        path = TARGET / f"{name}.svg"
        with matplotlib.rc_context({"svg.hashsalt": name}):
            self.figure.savefig(path, metadata={"Date": None, "Creator": None})
        print(path)


def draw_floors():
    """Both lists, the highest floor on top."""
    picture = Picture(11, 8.86)
    picture.text(0.2, 8.62, "vqe_fast", 11, mono=True, bold=True)
    picture.text(1.3, 8.62, "imports go down, never up", 8.5, QUIET)
    picture.text(5.95, 8.62, "vqe_fast.video", 11, mono=True, bold=True)
    picture.text(7.6, 8.62, "likewise", 8.5, QUIET)
    _stack(picture, 0.2, 5.5, PACKAGES, {"video": SAND, "data": GREEN, "training": GREEN})
    _stack(picture, 5.95, 4.85, VIDEO, dict.fromkeys(set().union(*VIDEO), SAND))
    about = "C++ and CUDA C++: the operators on CPUs and GPUs"
    picture.box(0.2, 0.12, 5.5, 0.54, "csrc", about, fill=GREY)
    picture.text(5.95, 0.42, "csrc is below all Python: ops loads it as libraries.", 7.6, QUIET)
    picture.text(5.95, 0.26, "tests/test_floors.py finds an import upwards.", 7.6, QUIET)
    picture.save("floors")


def _stack(picture, x, width, floors, fills):
    height, gap, y = 0.54, 0.1, 0.8
    for floor in floors:
        rooms = sorted(floor)
        rows = [rooms] if len(rooms) <= 4 else [rooms[: len(rooms) // 2], rooms[len(rooms) // 2 :]]
        tall = len(rows) * (height + gap)
        picture.area(x - 0.06, y - 0.04, width + 0.12, tall - 0.02, STRIP)
        for number, row in enumerate(rows):
            each = (width - gap * (len(row) - 1)) / len(row)
            for place, room in enumerate(row):
                left, bottom = x + place * (each + gap), y + number * (height + gap)
                fill = fills.get(room, BLUE)
                picture.box(left, bottom, each, height, room, ROOMS[room], fill=fill)
        y += tall


def draw_frame():
    """Three threads and their helpers, then the same for segments."""
    picture = Picture(11, 9.85)
    picture.text(0.2, 9.6, "In one pass", 10.5, bold=True)
    about = "enhance_video → run → run_pipeline; at most four bundles between two threads"
    picture.text(1.6, 9.6, about, 8, QUIET)
    picture.lane(8.4, 1.05, "thread “vqe-fast QPs”", "eight frames ahead at most")
    about = "EnhanceSession.bundles joins these stages"
    picture.lane(6.88, 1.38, "thread “vqe-fast decode”", about)
    about = (
        "on a CPU up to four threads “vqe-fast enhance” run the model; on a GPU copies run beside"
    )
    picture.lane(5.36, 1.38, "calling thread", about)
    picture.lane(3.36, 1.86, "thread “vqe-fast encode”", "beside the encoder's own threads")
    steps = [("iterate_qp", "video.qp.reader", ""), ("Ahead", "video.threads.stage", "")]
    picture.row(8.5, 0.56, steps, GREEN, first=2)
    picture.text(0.3, 8.74, "source", 9, mono=True, bold=True)
    picture.arrow((0.98, 8.78), (column(2), 8.78))
    picture.arrow((0.6, 8.66), (0.6, 7.86))
    steps = [
        ("VideoReader.items", "video.media.reader", "demuxer and decoder: frames, packets"),
        ("in_bundles", "video.pipeline.bundle", "FrameBundle: packets, then a frame"),
        ("FrameAnalyzer", "video.pipeline.analyze", "Repeats (duplicates) and SceneCuts"),
        ("QPProvider.of", "video.qp.provider", "FrameCoding: QPs, codec, type; strength"),
    ]
    picture.row(6.96, 0.9, steps, BLUE)
    picture.arrow((centre(3), 8.5), (centre(3), 7.86))
    picture.arrow((column(3) + WIDTH, 7.41), (centre(4), 7.41), (centre(4), 6.34))
    picture.text(centre(4) + 0.08, 7.1, "Channel", 8, mono=True)
    steps = [
        ("Result", "video.frames.transfer", "Transfer.download: planes on their way"),
        ("View.samples", "video.frames.model_input", "planes again, after with_strength"),
        ("Runner.push", "video.inference.runner", "of find_runner's kind; Tiling cuts frames"),
        ("View.values", "video.frames.model_input", "luma, Y'CbCr, RGB, or fields; in [0, 1]"),
        ("Enhancer", "video.pipeline.enhancer", "passes repeats by; Transfer.upload"),
    ]
    picture.row(5.44, 0.9, steps, SAND, turned=True)
    picture.arrow((centre(0), 5.44), (centre(0), 4.6))
    picture.text(centre(0) + 0.08, 5.03, "Channel", 8, mono=True)
    about = "Result.wait, then samples into the planes"
    picture.box(column(0), 3.7, WIDTH, 0.9, "ResultWriter", about, "video.pipeline.enhancer", ROSE)
    about = "frames are encoded, packets copied"
    picture.box(column(1), 3.7, WIDTH, 0.9, "VideoWriter.write", about, "video.media.writer", ROSE)
    home = "video.media.video_encoder"
    picture.box(column(2), 4.24, WIDTH, 0.6, "FrameEncoder", "frames → packets", home, ROSE)
    home = "video.media.remux"
    picture.box(column(2), 3.44, WIDTH, 0.6, "PacketCopier", "other streams, remuxed", home, ROSE)
    about = "muxer: the end of a file of another name"
    picture.box(column(3), 3.7, WIDTH, 0.9, "VideoWriter.finish", about, "video.media.writer", ROSE)
    about = "in the calling thread: the file gets its name"
    picture.box(column(4), 3.7, WIDTH, 0.9, "VideoWriter.commit", about, "video.media.writer", ROSE)
    for y in (4.4, 3.9):
        picture.arrow((column(2) - GAP, y), (column(2), y))
        picture.arrow((column(3) - GAP, y), (column(3), y))
    for number in (1, 4):
        picture.arrow((column(number) - GAP, 4.15), (column(number), 4.15))
    picture.text(0.2, 3.05, "In segments", 10.5, bold=True)
    about = (
        "each goes through the same threads; --workers: in processes, --cluster: on many machines"
    )
    picture.text(1.6, 3.05, about, 8, QUIET)
    picture.area(column(1) - 0.1, 1.66, 3 * WIDTH + 2 * GAP + 0.2, 1.2, STRIP)
    picture.text(column(1), 2.68, "an Executor", 8.6, bold=True)
    picture.text(
        column(1) + 1.0, 2.68, "has a task run by a worker, and tells its events", 7.6, QUIET
    )
    about = "segments of all files in one queue; losses"
    picture.box(column(0), 1.74, WIDTH, 0.87, "Scheduler", about, "video.segments.scheduler", GREEN)
    kinds = [
        ("InlineExecutor", "executors.inline", "in this process"),
        ("ProcessPool", "executors.process_pool", "--workers: processes, a Connection to each"),
        ("RayCluster", "executors.ray_cluster", "--cluster: RayWorker actors on nodes"),
    ]
    for number, (title, home, about) in enumerate(kinds, 1):
        picture.box(column(number), 1.74, WIDTH, 0.87, title, about, home, BLUE)
    about = "EnhanceSetup makes its model, once"
    picture.box(column(4), 1.74, WIDTH, 0.87, "Worker", about, "executors.worker", BLUE)
    picture.arrow((column(0) + WIDTH, 2.17), (column(1) - 0.1, 2.17))
    picture.arrow((column(4) - GAP + 0.1, 2.17), (column(4), 2.17))
    picture.arrow((centre(4), 1.74), (centre(4), 1.24))
    tasks = [
        ("JoinTask", "video.segments.join_task", "join_parts: other streams, commit"),
        ("EnhanceTask", "video.segments.enhance_task", "SegmentReader, run, PartWriter"),
        ("PlanTask", "video.segments.plan_task", "plan_segments, and choices for all"),
    ]
    picture.row(0.38, 0.86, tasks, GREEN, first=2, turned=True)
    about = (
        "TARGET.parts, also by storage: state.json (State), lock, packets and facts of each Part"
    )
    home = "video.segments.parts_folder"
    wide = 2 * WIDTH + GAP
    picture.box(column(0), 0.38, wide, 0.86, "PartsFolder", about, home, GREY)
    picture.arrow((centre(0), 1.74), (centre(0), 1.24), dashed=True)
    picture.text(centre(0) + 0.08, 1.44, "the plan; --resume goes on from there", 7.6, QUIET)
    picture.arrow((column(2) - GAP, 0.81), (column(2), 0.81), dashed=True)
    picture.arrow(
        (centre(3), 0.38), (centre(3), 0.2), (centre(1), 0.2), (centre(1), 0.38), dashed=True
    )
    about = "a finished Part; in chunks to the driver where a worker does not see the folder"
    picture.text(centre(1) + 0.08, 0.06, about, 7.6, QUIET)
    picture.save("frame")


def draw_gradient():
    """Clips, batches, a step forward and backward, files."""
    picture = Picture(11, 8.5)
    picture.lane(6.95, 1.4, "once", "vqe-fast prepare, or the start of vqe-fast train")
    picture.lane(5.35, 1.42, "batches", "in the Loader's threads; each process draws its share")
    picture.lane(1.9, 3.27, "a step", "forward →, then ← backward")
    picture.lane(0.12, 1.6, "files", "")
    steps = [
        ("find_sources", "data.sources", "videos, raw YUV, photographs (stills)"),
        ("prepare", "data.prepared", "a Crew of threads; the SharedIndex"),
        ("Degradation", "data.degradation", "x264, x265, VP9, AV1, JPEG, motion blur"),
        ("write_stream", "data.streams", "encode, then read_qp of the result"),
        ("PairedClip", "data.pairs", "Decoded: planes mapped into memory"),
    ]
    picture.row(7.03, 0.94, steps, GREEN)
    picture.arrow((centre(4), 7.03), (centre(4), 6.37))
    steps = [
        ("Batch", "data.windows", "uint8 windows, QPs, codec and frame types"),
        ("Loader", "data.loader", "the next four batches, in order"),
        ("WindowSampler.draw", "data.windows", "one place, time and turn for both versions"),
    ]
    picture.row(5.43, 0.94, steps, GREEN, first=2, turned=True)
    steps = [
        ("Recipe", "training.recipe", "StageRecipe, DataRecipe: YAML"),
        ("train", "training.train", "stage by stage; Fabric, Interruption"),
    ]
    picture.row(5.43, 0.94, steps, SAND)
    picture.arrow((column(2), 5.9), (column(2) - GAP, 5.9))
    picture.arrow((centre(1), 5.43), (centre(1), 5.26), (centre(0), 5.26), (centre(0), 4.76))
    steps = [
        ("Restoration", "training.restoration", "an Objective: from a Batch to Restored frames"),
        ("create_model", "models.registry", "the network; its ModelSpec says what it takes"),
        ("QPModulation", "nn.modulation", "modules hold parameters, call operators"),
        ("qp_modulate", "ops.modulation", "checks, autocast; use_kernel, else reference"),
        ("torch.ops.vqe_fast", "", "csrc: C++, CUDA C++; kernels: Triton"),
    ]
    picture.row(3.72, 1.04, steps, BLUE)
    picture.arrow((centre(4), 3.72), (centre(4), 3.02))
    steps = [
        ("Average.update", "training.learner", "exponential moving average of the weights"),
        ("Learner.step", "training.learner", "average_gradients; build_optimisers' Adam, Muon"),
        ("…_backward", "", "the operator's backward: csrc or kernels"),
        ("register_autograd", "", "in ops, beside each operator: the gradients that are needed"),
        ("build_losses", "training.losses", "terms; total(terms) .backward()"),
    ]
    picture.row(1.98, 1.04, steps, ROSE, turned=True)
    picture.arrow((centre(0), 1.98), (centre(0), 1.2))
    steps = [
        ("save_weights", "training.checkpoint", "weights.safetensors, best.safetensors"),
        ("measure", "training.gains", "full_frames: as enhance runs; measured.csv"),
        ("Card", "training.card", "card.toml: where weights come from, gains"),
        ("shipped", "weights", "weights.toml, by hand: cards and strengths"),
    ]
    picture.row(0.22, 0.98, steps, GREY)
    home = "training.checkpoint"
    about = "last.pt, now and then: an exact resume"
    picture.box(column(4), 0.22, WIDTH, 0.98, "save_state", about, home, GREY)
    picture.save("gradient")


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    draw_floors()
    draw_frame()
    draw_gradient()

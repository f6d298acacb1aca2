"""Files by the machine's FFmpeg, and times of frames and packets as its ``ffprobe`` reads them.

They share no code with the libraries that the package runs on: other versions, other builds.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from fractions import Fraction

HAS_FFMPEG = shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None
_ENTRIES = (
    "stream=index,codec_type"
    ":packet=stream_index,pts_time,duration_time,size,flags"
    ":frame=stream_index,best_effort_timestamp_time"
)
_SECONDS = 60


@dataclass(frozen=True)
class Recipe:
    """A file to generate: encoders, container, frame rate, B-frames, offsets in seconds."""

    encoder: str
    muxer: str
    sound: str | None
    rate: Fraction
    b_frames: int | None
    video_offset: float
    sound_offset: float
    size: str


@dataclass(frozen=True)
class Track:
    """Sound of a file: seconds at which its first and its last packet begin, packets and bytes."""

    first: float | None
    last: float | None
    packets: int
    size: int


@dataclass(frozen=True)
class Reading:
    """Times of the first video stream's frames, None for an unknown one, and all tracks."""

    frames: tuple[float | None, ...]
    tracks: tuple[Track, ...]


def generate(path, recipe, frames=14):
    """Writes a test pattern and a tone; returns whether FFmpeg can do that."""
    command = ["ffmpeg", "-v", "error", "-y", "-itsoffset", str(recipe.video_offset)]
    command += ["-f", "lavfi", "-i", f"testsrc2=s={recipe.size}:r={recipe.rate}:d=2"]
    if recipe.sound is not None:
        command += ["-itsoffset", str(recipe.sound_offset), "-f", "lavfi", "-i", "sine=r=48000:d=1"]
        command += ["-c:a", recipe.sound, "-ac", "2"]
    command += ["-frames:v", str(frames), "-c:v", recipe.encoder, "-strict", "-2", "-threads", "1"]
    if recipe.b_frames is not None:
        command += ["-bf", str(recipe.b_frames)]
    if recipe.encoder == "libx265":
        command += ["-x265-params", "log-level=none:pools=none:frame-threads=1"]
    command += ["-f", recipe.muxer, str(path)]
    return subprocess.run(command, capture_output=True, timeout=_SECONDS).returncode == 0


def read(path):
    """What ``ffprobe`` plays of a file: packets flagged to be discarded do not count."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", _ENTRIES, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    told = json.loads(done.stdout)
    kinds = {stream["index"]: stream["codec_type"] for stream in told["streams"]}
    items = told.get("packets_and_frames", [])
    video = next(index for index, kind in kinds.items() if kind == "video")
    times = (
        each.get("best_effort_timestamp_time")
        for each in items
        if each["type"] == "frame" and each["stream_index"] == video
    )
    frames = tuple(None if time is None else float(time) for time in times)
    sound = (index for index, kind in kinds.items() if kind == "audio")
    tracks = (_track([each for each in items if _is_of(each, index)]) for index in sound)
    return Reading(frames, tuple(track for track in tracks if track.size))


def _is_of(item, index):
    return item["type"] == "packet" and item["stream_index"] == index and "D" not in item["flags"]


def _track(packets):
    times = [float(each["pts_time"]) if "pts_time" in each else None for each in packets or [{}]]
    return Track(times[0], times[-1], len(packets), sum(int(each["size"]) for each in packets))

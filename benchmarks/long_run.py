"""A long video enhanced in segments, killed twice and resumed: times at its end, and memory.

``python benchmarks/long_run.py --minutes 60`` makes a small video with sound, subtitles and
chapters, enhances it with the model ``identity``, kills the process twice with ``SIGKILL``, resumes
it, and compares the times of all packets with the source's. It ends with 1 if one is a millisecond
off or missing, or if memory grows with length.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np

RATE, SOUND_RATE, SIZE = 25, 48000, (64, 48)
TOLERANCE = Fraction(1, 1000)
GROWTH = 1.1
"""Peak of memory after the last segment, over that when five were done in the same process."""

INDEX = 400
"""Bytes for each packet, of which MP4 keeps an index until the end, of source and target."""

COMMAND = "from vqe_fast.cli.app import app; app()"


def make_source(path: Path, minutes: float) -> None:
    """Writes a moving pattern with a tone, a subtitle every 10 seconds, and a chapter a minute."""
    frames, codec = round(minutes * 60 * RATE), subtitles_of(path)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, width=SIZE[0], height=SIZE[1])
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "ultrafast", "bf": "2", "g": "50"}
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono")
        text = container.add_mux_stream(codec)
        container.set_chapters(
            [
                {
                    "id": i,
                    "start": i * 60_000,
                    "end": min((i + 1) * 60_000, round(minutes * 60_000)),
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": f"minute {i}"},
                }
                for i in range(-int(-minutes // 1))
            ]
        )
        heard = 0
        for number in range(frames):
            container.mux(video.encode(picture(number)))
            while heard * RATE < (number + 1) * SOUND_RATE:
                container.mux(sound.encode(tone(heard)))
                heard += 1024
            if number % (10 * RATE) == 0:
                container.mux(line(text, codec, number))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


def subtitles_of(path: Path) -> str:
    """The text subtitles that the container of ``path`` takes."""
    return "subrip" if path.suffix == ".mkv" else "mov_text"


def picture(number: int) -> av.VideoFrame:
    """A frame that differs from those beside it."""
    frame = av.VideoFrame(*SIZE, "yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    rows = np.frombuffer(frame.planes[0], np.uint8).reshape(SIZE[1], -1)
    y, x = np.mgrid[: SIZE[1], : rows.shape[1]]
    rows[:] = x * 3 + y * 2 + number
    for plane in frame.planes[1:]:
        plane.update(bytes([number % 256]) * plane.buffer_size)
    return frame


def tone(start: int) -> av.AudioFrame:
    """1024 samples of sound whose packets differ."""
    at = (start + np.arange(1024)) / SOUND_RATE
    wave = 0.3 * np.sin(2 * np.pi * (440 + at) * at)
    frame = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
    return frame


def line(stream: av.stream.Stream, codec: str, number: int) -> av.Packet:
    """A subtitle of five seconds."""
    text = f"frame {number}".encode()
    packet = av.Packet(len(text).to_bytes(2, "big") + text if codec == "mov_text" else text)
    packet.stream, packet.time_base = stream, Fraction(1, RATE)
    packet.pts = packet.dts = number
    packet.duration = 5 * RATE
    return packet


def enhance(source: Path, target: Path, until: int | None) -> list[tuple[int, int]]:
    """Runs the tool, and kills it once ``until`` segments are there.

    Returns:
        Pairs of segments that were finished and the peak of memory by then, in KiB.
    """
    options = [
        "--model",
        "identity",
        "--preset",
        "ultrafast",
        "--segment-seconds",
        "60",
        "--resume",
        "--quiet",
    ]
    command = [sys.executable, "-P", "-c", COMMAND, "enhance", str(source), str(target), *options]
    process = subprocess.Popen(command)
    parts, peaks = target.with_name(f"{target.name}.parts"), []
    while process.poll() is None:
        finished = len(list(parts.glob("*.packets")))
        peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        if peak:
            peaks.append((finished, int(peak[1])))
        if until is not None and finished >= until:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return peaks
        time.sleep(0.05)
    if process.returncode or until is not None:
        sys.exit(f"ended with {process.returncode} before {until} segments were there")
    return peaks


def packets_of(path: Path) -> dict[str, list[tuple[Fraction, int, int]]]:
    """Kind of stream → display time, length and hash of its packets, in display order."""
    found: dict[str, list[tuple[Fraction, int, int]]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.pts is not None and packet.stream.type != "data":
                row = packet.pts * packet.time_base, packet.size, hash(bytes(packet))
                found.setdefault(packet.stream.type, []).append(row)
    return {kind: sorted(rows) for kind, rows in found.items()}


def chapters_of(path: Path) -> list[tuple[float, float]]:
    """Seconds at which chapters begin and end."""
    with av.open(str(path)) as container:
        return [
            (float(each["start"] * each["time_base"]), float(each["end"] * each["time_base"]))
            for each in container.chapters()
        ]


def compare(source: Path, target: Path) -> bool:
    """Prints how far packets are off, and returns whether none is too far."""
    before, after = packets_of(source), packets_of(target)
    good = True
    for kind, rows in before.items():
        others = after.get(kind, [])
        pairs = list(zip(rows, others, strict=False))
        is_copy = kind != "video"
        same = all(row[1:] == other[1:] for row, other in pairs)
        worst = max((abs(row[0] - other[0]) for row, other in pairs), default=Fraction(0))
        last = pairs[-1][1][0] - pairs[-1][0][0]
        good &= len(rows) == len(others) and (same or not is_copy) and worst < TOLERANCE
        print(
            f"{kind}: {len(others)} of {len(rows)} packets, "
            f"{'the same' if same else 'other'} data, "
            f"at most {float(worst) * 1e6:.1f} µs off, {float(last) * 1e6:.1f} µs at the end "
            f"({float(rows[-1][0]):.3f} s)"
        )
    marks, others = chapters_of(source), chapters_of(target)
    off = [abs(a - b) for a, b in zip(chain(*marks), chain(*others), strict=False)]
    print(
        f"chapters: {len(others)} of {len(marks)}, at most {max(off, default=0) * 1e6:.1f} µs off"
    )
    return good and len(marks) == len(others) and max(off, default=0) < TOLERANCE


def main() -> None:
    """Makes, enhances, compares, and says whether all is well."""
    parser = argparse.ArgumentParser(description="A long video, killed twice and resumed.")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--suffix", choices=(".mp4", ".mkv"), default=".mp4")
    arguments = parser.parse_args()
    segments = int(arguments.minutes)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / f"in{arguments.suffix}"
        target = Path(folder) / f"out{arguments.suffix}"
        began = time.perf_counter()
        make_source(source, arguments.minutes)
        print(f"{arguments.minutes:g} minutes made in {time.perf_counter() - began:.0f} s")
        began = time.perf_counter()
        for until in (segments // 3, 2 * segments // 3):
            enhance(source, target, until)
            print(f"killed with {until} of {segments} segments")
        peaks = enhance(source, target, None)
        print(f"finished, {time.perf_counter() - began:.0f} s in all")
        early, late = (
            next(peak for finished, peak in peaks if finished >= wanted)
            for wanted in (2 * segments // 3 + 5, segments)
        )
        print(
            f"memory: {early // 1024} MiB after five segments, {late // 1024} MiB after the last, "
            f"{peaks[-1][1] // 1024} MiB when they were joined"
        )
        packets = sum(len(rows) for rows in packets_of(source).values())
        joined = peaks[-1][1] - late
        good = compare(source, target) and late < GROWTH * early and joined < INDEX * packets / 1024
    print("all is well" if good else "NOT WELL")
    sys.exit(not good)


if __name__ == "__main__":
    main()

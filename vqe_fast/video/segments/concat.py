"""Concatenation of parts to one video, muxed with all other streams of the source."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from av.packet import Packet

from vqe_fast.video.errors import SourceError, VideoError
from vqe_fast.video.media.reader import VideoReader
from vqe_fast.video.media.writer import VideoWriter
from vqe_fast.video.segments.packet_file import read_part
from vqe_fast.video.segments.parts_folder import PartsFolder
from vqe_fast.video.segments.resume_state import Joined, Part, State
from vqe_fast.video.session import EnhanceSession


def join_parts(
    session: EnhanceSession, folder: PartsFolder, state: State, parts: Sequence[Part]
) -> None:
    """Concatenates all parts into the target of ``session``.

    Args:
        session: the enhancement.
        folder: of the parts.
        state: which is saved once it tells what came of joining.
        parts: one for each segment.

    Raises:
        VideoError: the parts do not fit together, or the target cannot be written.
    """
    with session.open(without_payload_of_video=True) as video:
        settings = session.settings(video)
        _refuse_gaps(video, parts)
        with VideoWriter(
            session.target,
            video,
            settings,
            with_chapters=True,
            tag=session.tag(video, parts[0].outcome.precision),
            folder=folder.path if isinstance(folder.path, Path) else None,
        ) as writer:
            if any(part.facts.parameter_sets != writer.parameter_sets for part in parts):
                raise VideoError(
                    f"{settings.codec} gave its streams different headers, as it may in another "
                    f"version or on another machine; delete {folder.path} and start anew"
                )
            delay = max(part.facts.delay for part in parts)
            time_base = video.facts.time_base
            files = (
                read_part(folder.packets(number), time_base, part.facts.sha256)
                for number, part in enumerate(parts)
            )
            encoded = _retimed((packet for file in files for packet in file), delay)
            pictures = 0
            for packet in video.packets():
                if packet.stream.index != video.video_stream.index:
                    writer.write(packet)
                elif packet.size:
                    pictures += 1
                    is_frame = pictures % video.pictures_a_frame == 0
                    for one in islice(encoded, is_frame):
                        writer.join(one)
            for one in encoded:
                writer.join(one)
            writer.finish()
            state.joined = Joined(*writer.identity, writer.damaged_packets, writer.not_kept)
            folder.save(state)
            writer.commit()


def _refuse_gaps(video: VideoReader, parts: Iterable[Part]) -> None:
    """Makes sure that each part begins with the frame that the one before saw behind its end."""
    for before, after in pairwise(part for part in parts if part.first is not None):
        if after.first is not None and before.following != after.first:
            seconds = float(after.first[0] * video.facts.time_base)
            raise SourceError(
                f"{video.path} cannot be cut at {seconds:.2f} s, where decoding goes on with "
                "another frame than it begins with; enhance it in one pass"
            )


def _retimed(packets: Iterable[Packet[Any]], delay: int) -> Iterator[Packet[Any]]:
    """Packets with the decoding timestamps that one encoder would have given them all.

    These are the timestamps of display in order, ``delay`` frames later. Each part has ones of its
    own, which begin before those of the part before it end.
    """
    waiting: list[int] = []
    for packet in packets:
        assert packet.pts is not None
        heapq.heappush(waiting, packet.pts)
        if len(waiting) > delay:
            packet.dts = heapq.heappop(waiting)
        yield packet

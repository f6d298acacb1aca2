"""One definition of each option: API, command line, resuming, report and docs are made from it."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import write_options
from typer.main import get_command

from support.media import write_clip
from vqe_fast.cli.app import app
from vqe_fast.video import enhance_video
from vqe_fast.video.options import (
    EncodeOptions,
    ModelOptions,
    SegmentOptions,
    all_options,
    asked_for,
)

NAMES = [each.name for _, each, _ in all_options()]


def test_the_api_has_them_all():
    parameters = inspect.signature(enhance_video).parameters
    for _, each, about in all_options():
        assert parameters[each.name].default == each.default
        assert f"        {each.name}: {about.doc.split()[0]}" in enhance_video.__doc__
    assert len(set(NAMES)) == len(NAMES) and "{options}" not in enhance_video.__doc__


def test_the_command_line_has_them_all():
    """With the same defaults, but where it chooses by itself."""
    known = {each.name: each for each in get_command(app).commands["enhance"].params}
    for _, each, about in all_options():
        given = known[each.name]
        name = about.cli_name or each.name.replace("_", "-")
        assert given.opts == [f"--{name}"] and given.help == about.help
        assert given.secondary_opts == ([f"--no-{name}"] if each.default is True else [])
        assert given.default == (None if about.cli_type is not None else each.default)


def test_docs():
    written = Path(__file__).parents[2] / "docs" / "options.md"
    assert written.read_text() == write_options.page(), "run make options"


def test_an_unknown_option(tmp_path):
    with pytest.raises(TypeError, match="no option 'tiel'; the options are model, weights, "):
        enhance_video(tmp_path / "in.mkv", tmp_path / "out.mkv", "identity", tiel=64)


def test_what_decides_frames():
    told = asked_for(ModelOptions(tile=64), EncodeOptions(), SegmentOptions(), decide_frames=True)
    assert told["tile"] == 64 and told["codec"] == "libx264"
    assert set(NAMES) - set(told) == {
        "weights",
        "max_memory",
        "workers",
        "cluster",
        "worker_cpus",
        "worker_gpus",
        "resume",
        "tag",
        "container",
    }


def test_the_report_has_what_was_asked_for(tmp_path):
    clip = write_clip(tmp_path / "in.mkv", size=(32, 32), frames=2)
    report = enhance_video(clip, tmp_path / "out.mkv", "identity", tile=64, max_memory="1GiB")
    assert list(report.options) == NAMES
    asked = {"model": "identity", "tile": 64, "max_memory": "1GiB", "workers": None}
    assert asked.items() <= report.options.items()
    assert report.to_dict()["options"] == report.options


def test_they_are_light():
    """The command line shows its help without torch and FFmpeg."""
    code = "import sys, vqe_fast.video.options; print({'torch', 'av'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "set()"

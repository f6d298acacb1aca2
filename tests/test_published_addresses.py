"""Addresses of published weights, against a list of the files that are there: no network."""

import json
import re
from pathlib import Path

import pytest

import vqe_fast
from vqe_fast.weights import trunks

# Where files are → how that is known, and each file's SHA-256 as far as it is.
PLACES = json.loads(Path(__file__).with_name("published_files.json").read_text("utf-8"))
PUBLISHED = {**trunks._TRUNKS, **{f"LPIPS on {name}": of for name, of in trunks._HEADS.items()}}


@pytest.mark.parametrize("published", PUBLISHED.values(), ids=PUBLISHED)
def test_the_file_is_there(published):
    """And what is checked when it has come is the beginning of its hash."""
    (place,) = (place for place in PLACES if published.url.startswith(place))
    files = PLACES[place]["files"]
    path = published.url.removeprefix(place)
    assert path in files
    checked = re.search(r"-([0-9a-f]{8})\.pth$", published.file)
    assert checked is not None
    if files[path] is not None:
        assert files[path].startswith(checked[1])


def test_nothing_else_is_downloaded():
    """An address elsewhere in the package would not be among those above."""
    folder = Path(vqe_fast.__file__).parent
    downloading = re.compile(
        r"torch\.hub\.(load|download)|\burl(open|retrieve)\b|\brequests\.get\b"
    )
    found = [path for path in folder.rglob("*.py") if downloading.search(path.read_text("utf-8"))]
    assert [path.relative_to(folder).as_posix() for path in found] == ["weights/trunks.py"]

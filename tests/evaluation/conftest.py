import pytest

from support.evaluations import QPS, write_clips
from vqe_fast import evaluate


@pytest.fixture(scope="session")
def clips(tmp_path_factory):
    """A folder of two tiny clips."""
    return write_clips(tmp_path_factory.mktemp("clips"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """Where their compressed versions are kept for all tests."""
    return tmp_path_factory.mktemp("encodes")


@pytest.fixture
def run(clips, cache, tmp_path):
    """Evaluates models on the clips, in a folder that a second call goes on in."""

    def run(models=(), settings=QPS, **options):
        options = {"output": tmp_path / "out", "cache": cache, "device": "cpu"} | options
        return evaluate([clips], models, settings, **options)

    return run

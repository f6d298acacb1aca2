"""Storage systems: what reads and writes the files of each scheme of URLs."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from vqe_fast.storage.errors import StorageError


@dataclass(frozen=True)
class System:
    """A storage system.

    Attributes:
        protocol: fsspec's name of it.
        package: what it needs beside fsspec.
        has_buckets: whether the host of a URL is a bucket, of objects that appear when whole.
        is_readable_only: whether nothing can be written.
        is_of_a_thread: whether each thread needs a connection of its own.
    """

    protocol: str
    package: str | None = None
    has_buckets: bool = False
    is_readable_only: bool = False
    is_of_a_thread: bool = False


SYSTEMS = {
    "s3": System("s3", "s3fs", has_buckets=True),
    "gs": System("gs", "gcsfs", has_buckets=True),
    "sftp": System("sftp", "paramiko", is_of_a_thread=True),
    "http": System("http", "aiohttp", is_readable_only=True),
    "https": System("https", "aiohttp", is_readable_only=True),
    "memory": System("memory"),
}
"""Scheme of a URL → its storage system."""


@dataclass(frozen=True)
class Address:
    """Where a storage system keeps something.

    Attributes:
        scheme: of :data:`SYSTEMS`.
        authority: user, password, and the host or bucket, as in a URL.
        path: what follows, with its ``/``.
        query: of http and https: what may be signed, with its ``?``.
    """

    scheme: str
    authority: str
    path: str
    query: str = ""

    @property
    def host(self) -> str:
        """The authority without user and password."""
        return self.authority.rpartition("@")[2]

    @property
    def shown(self) -> str:
        """The URL without anything secret."""
        return f"{self.scheme}://{self.host}{self.path}"


def parse(url: str) -> Address:
    """The address that a URL names.

    Raises:
        StorageError: there is no such storage system, or it takes no such URL.
    """
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    is_http = scheme in ("http", "https")
    authority, slash, path = rest.partition("/")
    bare, mark, query = path.partition("?")
    if is_http:
        bare = bare.partition("#")[0]
        query = query.partition("#")[0]
        authority, _, late = authority.partition("?")
        query = query or late
        return _checked(Address(scheme, authority, f"/{bare}", f"?{query}" if query else ""))
    if mark and "=" in query:
        shown = Address(scheme, authority, slash + bare).shown
        raise StorageError(
            f"{shown} is followed by a query, which {scheme} does not take; leave out the question "
            "mark and what is behind it"
        )
    return _checked(Address(scheme, authority, slash + path))


def _checked(address: Address) -> Address:
    if address.scheme not in SYSTEMS:
        known = ", ".join(f"{scheme}://" for scheme in SYSTEMS if scheme != "memory")
        raise StorageError(
            f"{address.shown} is of no storage system that is known; give the path of a file, or a "
            f"URL that begins with file://, {known}"
        )
    if not address.host and address.scheme != "memory":
        raise StorageError(f"{address.shown} names no bucket or host; write it behind the slashes")
    return address


def refuse_missing_packages(address: Address) -> None:
    """Makes sure that what the storage system needs is installed.

    Raises:
        StorageError: a package is missing.
    """
    for package in ("fsspec", SYSTEMS[address.scheme].package):
        if package is not None and find_spec(package) is None:
            wanted = "'vqe_fast[cluster]'" if package == "fsspec" else package
            raise StorageError(
                f"{address.shown} needs {package}, which is not installed: pip install {wanted}"
            )


def open_system(address: Address) -> Any:
    """The fsspec filesystem of an address; one for each thread, server and user.

    Raises:
        StorageError: a package is missing.
    """
    refuse_missing_packages(address)
    import fsspec

    protocol = SYSTEMS[address.scheme].protocol
    user = _user(urlsplit(f"//{address.authority}"))
    if address.scheme == "sftp":
        parts = urlsplit(f"//{address.host}")
        port = {} if parts.port is None else {"port": parts.port}
        return fsspec.filesystem(protocol, host=parts.hostname, **port, **user)
    if address.scheme == "s3":
        names = {"username": "key", "password": "secret"}
        user = {names[name]: value for name, value in user.items()}
        return fsspec.filesystem(protocol, use_listings_cache=False, **user)
    return fsspec.filesystem(protocol, use_listings_cache=False)


def place_of(address: Address) -> str:
    """What fsspec calls an address within its filesystem."""
    if SYSTEMS[address.scheme].has_buckets:
        return address.host + address.path
    if address.scheme in ("http", "https"):
        return f"{address.scheme}://{address.authority}{address.path}{address.query}"
    if address.scheme == "memory":
        return f"/{address.host}{address.path}" if address.host else address.path
    return address.path or "/"


def _user(parts: SplitResult) -> dict[str, str]:
    named = {"username": parts.username, "password": parts.password}
    return {name: unquote(value) for name, value in named.items() if value is not None}

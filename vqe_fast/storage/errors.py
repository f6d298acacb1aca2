"""``StorageError``: what a storage system refuses, in a sentence without credentials."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_OF_STORAGE = {
    *("aiobotocore", "aiohttp", "asyncio", "botocore", "fsspec", "gcsfs", "google"),
    *("paramiko", "s3fs"),
}
"""Packages whose exceptions are those of a storage system."""

_READING = {"read", "listed", "reached"}

_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"),
    *("ProfileNotFound", "CredentialRetrievalError"),
}
_DENIED = {"AuthenticationException", "BadAuthenticationType", "BadHostKeyException"}
_DENIED_STATUS = {401, 403, 407}
_UNREACHABLE = {
    *("ClientConnectorError", "ServerDisconnectedError", "ClientOSError", "ClientPayloadError"),
    *("EndpointConnectionError", "ConnectionClosedError", "ConnectTimeoutError"),
    *("ReadTimeoutError", "HTTPClientError", "NoValidConnectionsError", "SSHException"),
    *("FSTimeoutError", "gaierror", "ResponseStreamingError", "IncompleteReadError"),
}
_CREDENTIALS_OF = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or gcloud auth application-default login",
    "sftp": "the keys in ~/.ssh, or the ssh-agent",
}


class StorageError(ValueError):
    """An error of a storage system: one sentence for the user, and what to do about it.

    Attributes:
        is_of_reading: whether something could not be read, so that it is about a source.
    """

    is_of_reading = False


class Unreachable(StorageError):
    """A storage system that does not answer, which it may do later."""


class NotThere(StorageError):
    """A file or folder that does not exist."""


@contextmanager
def in_words(name: str, scheme: str, doing: str) -> Iterator[None]:
    """Turns what libraries of storage systems raise into a :class:`StorageError`.

    Their texts are left out, as these may hold credentials or signed addresses; their exceptions
    are not shown as its cause for the same reason.

    Args:
        name: of the file or folder, without credentials.
        scheme: of its URL.
        doing: what cannot be done if so: ``read`` or ``written``.
    """
    try:
        yield
    except StorageError:
        raise
    except Exception as error:
        if not _is_of_storage(error):
            raise
        said = _sentence(error, name, scheme, doing)
        said.is_of_reading = doing in _READING
        raise said from None


def _is_of_storage(error: Exception) -> bool:
    if isinstance(error, (OSError, EOFError, TimeoutError)):
        return True
    return any(each.__module__.partition(".")[0] in _OF_STORAGE for each in type(error).__mro__)


def _sentence(error: BaseException, name: str, scheme: str, doing: str) -> StorageError:
    chain = list(_chain(error))
    kinds = {kind.__name__ for each in chain for kind in type(each).__mro__}
    status = {getattr(each, "status", None) for each in chain} | {_http_status(e) for e in chain}
    where = _CREDENTIALS_OF.get(scheme, "the user and password of the URL")
    if kinds & _NO_CREDENTIALS:
        return StorageError(f"{name} cannot be {doing}: there are no credentials; set {where}")
    if kinds & (_DENIED | {"PermissionError"}) or status & _DENIED_STATUS:
        return StorageError(
            f"{name} cannot be {doing}: access is denied; check the credentials ({where}) and what "
            "they allow"
        )
    if kinds & _UNREACHABLE or isinstance(error, (ConnectionError, TimeoutError, EOFError)):
        return Unreachable(
            f"{name} cannot be {doing}: its server does not answer; check the network and the "
            "address"
        )
    if isinstance(error, FileNotFoundError):
        return NotThere(f"there is no {name}; check the name")
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        return StorageError(f"{name} cannot be {doing}: {error.strerror}")
    code = next((code for code in map(_code, chain) if code), type(error).__name__)
    return StorageError(f"{name} cannot be {doing}: its server says {code}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _response(error: BaseException) -> dict[str, dict[str, object]]:
    response = getattr(error, "response", None)  # of botocore
    return response if isinstance(response, dict) else {}


def _code(error: BaseException) -> str | None:
    code = _response(error).get("Error", {}).get("Code") or getattr(error, "status", None)
    return None if code is None else str(code)


def _http_status(error: BaseException) -> object:
    return _response(error).get("ResponseMetadata", {}).get("HTTPStatusCode")

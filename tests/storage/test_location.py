"""Paths of storage systems: as local ones, and never with what is secret."""

import pickle
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from vqe_fast.storage import systems
from vqe_fast.storage.block_cache import bytes_fetched
from vqe_fast.storage.errors import NotThere, StorageError
from vqe_fast.storage.location import RemotePath, location, upload


@pytest.mark.parametrize("text", ["a.mp4", "/tmp/a.mp4", "C://a.mp4", "a:b", "a://", "s3:/a"])
def test_what_is_no_url_is_a_path(text):
    assert location(text) == Path(text)


def test_file_urls_are_paths():
    assert location("file:///tmp/a%20b.mp4") == Path("/tmp/a b.mp4")


def test_parts_of_a_remote_path(memory):
    path = location(f"{memory}/some/a.b.mp4")
    assert str(path) == "memory://folder/some/a.b.mp4"
    assert (path.name, path.stem, path.suffix) == ("a.b.mp4", "a.b", ".mp4")
    assert path.parent / "c.mkv" == path.with_name("c.mkv")
    assert path.with_suffix(".mkv").name == "a.b.mkv"
    assert path.relative_to(location(memory)) == Path("some/a.b.mp4")
    assert path.resolve() is path


@pytest.mark.parametrize("root", ["memory", "s3", "sftp"])
def test_files_and_folders(root, request, tmp_path):
    root = location(request.getfixturevalue(root))
    path = root / "some" / "a [1]*.bin"
    assert not path.exists() and not path.parent.exists()
    with pytest.raises(NotThere, match="there is no"):
        path.stat()
    path.write_bytes(b"1234")
    assert path.is_file() and not path.is_dir() and path.parent.is_dir()
    assert path.stat().st_size == 4 and path.stat().st_mtime_ns > 0 and path.stat().etag
    (root / "b").write_text("ö")
    assert (root / "b").read_text() == "ö"
    assert list(root.iterdir()) == [root / "b", root / "some"]
    assert list(root.walk_files()) == [root / "b", path]
    assert not (root / "b").create(b"another")
    assert (root / "c").create(b"new") and (root / "c").read_bytes() == b"new"
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    upload(tmp_path / "large", root / "some" / "large")
    assert (root / "some" / "large").stat().st_size == 3_000_000
    path.refuse_unwritable()
    (root / "some").remove_folder()
    (root / "b").unlink()
    (root / "b").unlink(missing_ok=True)
    assert list(root.walk_files()) == [root / "c"]


def test_what_was_uploaded_in_part_has_no_name(memory, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"12345678")
    target = location(f"{memory}/file")
    monkeypatch.setattr(
        type(target._system), "put_file", lambda self, local, place: self.pipe_file(place, b"123")
    )
    with pytest.raises(StorageError, match="only 3 of 8 bytes arrived"):
        upload(tmp_path / "file", target)
    assert not list(location(memory).walk_files())


def test_blocks_are_fetched_once(memory, monkeypatch):
    data = bytes(range(256)) * 4000
    path = location(f"{memory}/file")
    path.write_bytes(data)
    asked = []
    system = type(path._system)
    fetch = system.cat_file
    monkeypatch.setattr(
        system,
        "cat_file",
        lambda self, place, start, end: (
            asked.append((start, end)) or fetch(self, place, start, end)
        ),
    )
    for _ in range(2):
        with path.open() as file:
            file.seek(100_000)
            assert file.read(400_000) == data[100_000:500_000]
            file.seek(0)
            assert file.read() == data
    spans = sorted(asked)
    assert spans[0][0] == 0 and spans[-1][1] == len(data)
    assert all(before[1] == after[0] for before, after in pairwise(spans))


def test_holes_read_as_zeros(memory):
    data = bytes(range(1, 251)) * 8000
    path = location(f"{memory}/file")
    path.write_bytes(data)
    hole = slice(100_000, 1_900_000)
    expected = bytearray(data)
    expected[hole] = bytes(hole.stop - hole.start)
    before = bytes_fetched(str(path))
    with path.open() as file:
        file.leave_out([(500_000, hole.stop), (hole.start, 600_000)])
        assert file.read() == bytes(expected)
        file.seek(99_999)
        assert file.read(2) == bytes(expected[99_999:100_001])
        file.seek(-1, 2)
        assert file.read(9) == data[-1:]
    assert bytes_fetched(str(path)) - before == len(data) - (hole.stop - hole.start)


def test_another_file_of_that_name_is_told(memory):
    path = location(f"{memory}/file")
    path.write_bytes(bytes(300_000))
    with path.open() as file:
        file.read(10)
        file.verify()
        elsewhere = pickle.loads(pickle.dumps(path))
        path.write_bytes(bytes(299_999) + b"1")
        file.seek(200_000)
        file.read(10)
        with pytest.raises(StorageError, match="changed while it was read"):
            file.verify()
    with pytest.raises(StorageError, match="changed while it was read"):
        elsewhere.open()
    assert location(str(path)).open().read(1) == b"\0"


SECRETS = ("s3cr3t", "signed", "someone")
URLS = [
    "s3://someone:s3cr3t@bucket/folder/a.mp4",
    "sftp://someone:s3cr3t@127.0.0.1:1/folder/a.mp4",
    "http://someone:s3cr3t@127.0.0.1:1/folder/a.mp4?X-Amz-Signature=signed#signed",
    "https://127.0.0.1:1?token=signed",
]


@pytest.mark.parametrize("url", URLS)
def test_secrets_are_never_shown(url):
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    for package in ("s3fs", "paramiko", "aiohttp"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    path = location(url)
    again = pickle.loads(pickle.dumps(path))
    assert again == path and again._address == path._address
    shown = [str(path), repr(path), str(path / "b"), str(path.parent)]
    if not url.startswith("s3"):
        with pytest.raises(StorageError, match=r"does not answer") as caught:
            path.stat()
        shown += [str(caught.value), repr(caught.value), str(caught.value.__cause__)]
    for text in shown:
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://someone:s3cr3t@host/a.mp4", "ftp://host/a.mp4 is of no storage system that is"),
        ("s3://", "names no bucket or host"),
        ("s3://bucket/a.mp4?X-Amz-Signature=signed", "s3://bucket/a.mp4 is followed by a query"),
    ],
)
def test_urls_that_cannot_be(url, said):
    with pytest.raises(StorageError) as caught:
        location(url)
    assert said in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS)


def test_a_key_may_have_a_question_mark(memory):
    path = location(f"{memory}/what?.mp4")
    path.write_bytes(b"1")
    assert path.name == "what?.mp4" and path.read_bytes() == b"1"


@pytest.mark.parametrize(
    ("package", "url", "wanted"),
    [
        ("fsspec", "s3://bucket/a", "pip install 'vqe_fast[cluster]'"),
        ("s3fs", "s3://bucket/a", "pip install s3fs"),
        ("gcsfs", "gs://bucket/a", "pip install gcsfs"),
        ("paramiko", "sftp://host/a", "pip install paramiko"),
        ("aiohttp", "https://host/a", "pip install aiohttp"),
    ],
)
def test_missing_packages_are_named(package, url, wanted, monkeypatch):
    there = systems.find_spec
    monkeypatch.setattr(
        systems, "find_spec", lambda name: None if name == package else there(name) or sys
    )
    with pytest.raises(StorageError, match=r"which is not installed") as caught:
        location(url)
    assert str(caught.value).endswith(wanted)


def test_servers_say_what_is_wrong(s3, s3_server, monkeypatch):
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
    missing = location("s3://nowhere/a.mp4")
    for ask in (missing.stat, missing.refuse_unwritable):
        with pytest.raises(NotThere, match="there is no bucket nowhere"):
            ask()
    with pytest.raises(NotThere, match=r"^there is no s3://bucket/b.mp4"):
        location(f"{s3}/b.mp4").stat()
    with pytest.raises(StorageError, match="http is for reading"):
        location(f"{s3_server}/bucket/a.mp4").refuse_unwritable()
    with pytest.raises(NotThere, match="there is no http"):
        location(f"{s3_server}/bucket/a.mp4?signed=1").stat()
    location(f"{s3}/c.bin").write_bytes(bytes(range(200)))
    signed = location(location(f"{s3}/c.bin")._system.sign("bucket/c.bin"))
    assert str(signed) == f"{s3_server}/bucket/c.bin"
    with signed.open() as file:
        file.seek(100)
        assert file.read() == bytes(range(100, 200))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StorageError, match="credentials"):
        location(f"{s3}/c.bin").refuse_unwritable()


def test_a_wrong_password(sftp):
    location(f"{sftp}/a").write_bytes(b"1")
    with pytest.raises(StorageError, match=r"/a cannot be reached: access is denied") as caught:
        location(f"{sftp}/a".replace("s3cr3t", "another")).stat()
    assert "another" not in str(caught.value)


def test_refused_credentials(monkeypatch):
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    from botocore.exceptions import ClientError

    path = location("s3://someone:s3cr3t@bucket/a.mp4")
    answer = {"Error": {"Code": "SignatureDoesNotMatch", "Message": "s3cr3t"}}
    answer["ResponseMetadata"] = {"HTTPStatusCode": 403}

    def refuse(*_, **__):
        raise PermissionError("s3cr3t") from ClientError(answer, "HeadObject")

    monkeypatch.setattr(path._system, "info", refuse)
    with pytest.raises(StorageError, match="access is denied; check the credentials") as caught:
        path.stat()
    assert "s3cr3t" not in str(caught.value) and caught.value.__cause__ is None


def test_a_remote_path_is_no_path_of_this_machine(memory):
    assert not isinstance(location(memory), Path)
    assert isinstance(location(memory), RemotePath)
    with pytest.raises(ValueError, match="read bytes"):
        location(f"{memory}/a").open("wb")

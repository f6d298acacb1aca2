"""Storage systems for the tests: one in memory, and an S3 server of this process."""

import pytest


@pytest.fixture
def memory():
    """The URL of an empty folder of the storage system in memory."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield "memory://folder"
    system.store.clear()


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("flask", reason="moto's server is not installed")
    moto = pytest.importorskip("moto.server", reason="moto's server is not installed")
    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}" if host else None
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch):
    """The URL of an empty bucket."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem(use_listings_cache=False)
    system.mkdir("bucket")
    yield "s3://bucket"
    system.rm("bucket", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def sftp(tmp_path):
    """The URL of an empty folder of an SFTP server."""
    pytest.importorskip("fsspec", reason="fsspec is not installed")
    pytest.importorskip("paramiko", reason="paramiko is not installed")
    from fsspec.implementations.sftp import SFTPFileSystem

    from support.sftp_server import SFTPServer

    root = tmp_path / "sftp"
    root.mkdir()
    server = SFTPServer(root)
    yield f"sftp://someone:s3cr3t@127.0.0.1:{server.port}"
    SFTPFileSystem.clear_instance_cache()
    server.close()

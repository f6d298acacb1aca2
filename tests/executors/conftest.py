"""A cluster of Ray that the tests of this folder share."""

import socket

import pytest

from support.ray_clusters import ray_cluster


@pytest.fixture(scope="session")
def cluster():
    """Two nodes of a core each, the head among them; ``client`` is the address for Ray Client."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with ray_cluster(port) as cluster:
        cluster.client = f"ray://127.0.0.1:{port}"
        yield cluster

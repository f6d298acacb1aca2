"""Clusters of Ray for tests: several nodes on this machine, each with a core and little memory."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

import support

_MEMORY = 80 * 2**20  # bytes of each node's object store, the least that Ray takes


@contextmanager
def ray_cluster(client_port):
    """A cluster of a head and another node, that soon sees that a node is dead."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'vqe_fast[cluster]'")
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        # Not the default, which names the cluster that the address auto leads to.
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        # Workers find the tasks of the tests.
        patch.setenv("PYTHONPATH", str(Path(support.__file__).parents[1]), prepend=os.pathsep)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "include_dashboard": False,
                "include_log_monitor": False,
                "object_store_memory": _MEMORY,
                "ray_client_server_port": client_port,
                "_system_config": {
                    "health_check_initial_delay_ms": 0,
                    "health_check_period_ms": 500,
                    "health_check_timeout_ms": 2000,
                    "health_check_failure_threshold": 2,
                    "enable_worker_prestart": False,
                    "prestart_worker_first_driver": False,
                },
            },
        )
        try:
            add_node(cluster)
            yield cluster
        finally:
            cluster.shutdown()


def add_node(cluster):
    return cluster.add_node(num_cpus=1, object_store_memory=_MEMORY)

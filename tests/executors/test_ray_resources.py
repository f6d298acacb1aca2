import pytest

from vqe_fast.executors.ray_resources import WorkerResources, resources_for


def node(cpus=None, gpus=None):
    resources = {"CPU": cpus, "GPU": gpus, "memory": 1e9}
    return {"Resources": {name: value for name, value in resources.items() if value is not None}}


@pytest.mark.parametrize(
    ("nodes", "cpus", "gpus", "resources", "fits"),
    [
        ([node(16.0), node(6.0)], None, None, WorkerResources(4, 0), 5),
        ([node(), node(2.0), node(8.0)], None, None, WorkerResources(2, 0), 5),
        ([node(8.0)], 3, None, WorkerResources(3, 0), 2),
        ([node(8.0)], 9, None, WorkerResources(9, 0), 0),
        ([], None, None, WorkerResources(4, 0), 0),
        ([node(64.0), node(32.0, 4.0), node(48.0, 2.0)], None, None, WorkerResources(8, 1), 6),
        ([node(2.0, 4.0)], None, None, WorkerResources(1, 1), 2),
        ([node(64.0), node(12.0, 1.0)], None, 0, WorkerResources(4, 0), 19),
        ([node(12.0, 1.0)], None, 0.3, WorkerResources(3, 0.3), 3),
        ([node(20.0, 1.0)], 2, 0.1, WorkerResources(2, 0.1), 10),
        ([node(8.0)], None, 1, WorkerResources(4, 1), 0),
    ],
)
def test_resources_and_room(nodes, cpus, gpus, resources, fits):
    assert resources_for(nodes, cpus, gpus) == resources
    assert resources.fits(nodes) == fits


def test_device_and_words():
    core, half = WorkerResources(1, 0), WorkerResources(8, 0.5)
    assert (core.device, str(core)) == ("cpu", "1 core")
    assert (half.device, str(half)) == ("cuda:0", "8 cores and 0.5 GPU")

"""Detectors in ONNX files, with networks made here."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from vqe_fast.evaluation.onnx import OnnxDetector


def write(path, *, shape=("h", "w"), batch=False, names=("boxes", "labels", "scores"), order=None):
    """A network that finds one box, whose score is the mean of the picture."""
    size = [*([1] if batch else []), 3, *shape]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, size)
    boxes = helper.make_tensor("b", TensorProto.FLOAT, [1, 4], [1, 2, 5, 6])
    labels = helper.make_tensor("l", TensorProto.INT64, [1], [7])
    one = helper.make_tensor("o", TensorProto.INT64, [1], [1])
    nodes = [
        helper.make_node("Identity", ["b"], [names[0]]),
        helper.make_node("Identity", ["l"], [names[1]]),
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "o"], [names[2]]),
    ]
    outputs = [
        helper.make_tensor_value_info(names[0], TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info(names[1], TensorProto.INT64, [1]),
        helper.make_tensor_value_info(names[2], TensorProto.FLOAT, [1]),
    ]
    outputs = [outputs[index] for index in order or range(3)]
    graph = helper.make_graph(nodes, "detector", [picture], outputs, [boxes, labels, one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize(
    "options",
    [{}, {"batch": True}, {"names": ("x", "y", "z")}, {"order": (2, 0, 1)}],
    ids=["as torchvision", "a batch of one", "by order", "by name"],
)
def test_layouts(tmp_path, options):
    detector = OnnxDetector(write(tmp_path / "d.onnx", **options))
    picture = np.full((20, 30, 3), 51, np.uint8)
    boxes, labels, scores = detector(picture)
    np.testing.assert_array_equal(boxes, [[1, 2, 5, 6]])
    assert labels.tolist() == [7] and scores == pytest.approx(0.2, rel=1e-4)


def test_in_an_evaluation(run, tmp_path):
    path = write(tmp_path / "d.onnx")
    qp_40 = [{"codec": "libx264", "mode": "qp", "values": [40]}]
    found = run({}, qp_40, detector=path)
    assert not found.failed and {row.figures["map"] for row in found.rows} <= {1.0, None}


def test_refusals(tmp_path):
    with pytest.raises(ValueError, match=r"there is no detector .*nowhere.onnx"):
        OnnxDetector(tmp_path / "nowhere.onnx")
    (tmp_path / "text.onnx").write_text("not a network")
    with pytest.raises(ValueError, match="is not an ONNX network that runs here"):
        OnnxDetector(tmp_path / "text.onnx")
    fixed = OnnxDetector(write(tmp_path / "fixed.onnx", shape=(64, 64)))
    with pytest.raises(ValueError, match="takes pictures of 64x64 only, got 30x20"):
        fixed(np.zeros((20, 30, 3), np.uint8))
    fixed(np.zeros((64, 64, 3), np.uint8))
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 5])
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [info],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 5])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match=r"other\.onnx is not a detector of pictures"):
        OnnxDetector(tmp_path / "other.onnx")

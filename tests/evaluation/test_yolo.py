"""YOLO networks of every usual layout, made here, that find known boxes."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from vqe_fast.evaluation.detection import Detections
from vqe_fast.evaluation.onnx import OnnxDetector
from vqe_fast.evaluation.yolo import MOST, letterboxed, suppressed

SIDE = 64
CELLS = 8 * 8 + 4 * 4 + 2 * 2
PICTURE = np.zeros((64, 128, 3), np.uint8)
"""Twice as wide as high: at half its size in the network's input, 16 rows of padding above."""

FOUND = [
    # Corners in the input, label, score.
    ((10, 21, 30, 41), 2, 0.9),
    ((11, 21, 30, 42), 2, 0.8),  # the same again
    ((11, 21, 30, 42), 0, 0.7),  # of another class
    ((40, 20, 60, 44), 2, 0.6),
]
IN_PICTURE = [(20, 10, 60, 50), (22, 10, 60, 52), (80, 8, 120, 56)]
"""Where the first, the third and the last of them lie in the picture."""


def centred(corners):
    left, top, right, bottom = corners
    return [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]


def rows(count, *, objectness=None, filler=(32, 32, 4, 4)):
    """(1, count, 4 + C) or (1, count, 5 + C): the objects in some rows, nothing in the others."""
    columns = 3 if objectness is None else 4
    out = np.zeros((1, count, 4 + columns), np.float32)
    out[..., :4] = filler
    if objectness is not None:
        out[..., 4] = 1 if objectness == 1 else 0
    for place, (corners, label, score) in zip((3, 40, 50, 80), FOUND, strict=True):
        out[0, place, :4] = centred(corners)
        out[0, place, -3 + label] = score / (objectness or 1)
        if objectness is not None:
            out[0, place, 4] = objectness
    return out


def undecoded(decoded):
    """YOLOX before its boxes are decoded: offsets from cells and logarithms of sizes."""
    grid = [
        (x * stride, y * stride, stride)
        for stride in (8, 16, 32)
        for y in range(SIDE // stride)
        for x in range(SIDE // stride)
    ]
    left, top, side = np.array(grid, np.float32).T
    out = decoded.copy()
    out[0, :, 0] = (decoded[0, :, 0] - left) / side
    out[0, :, 1] = (decoded[0, :, 1] - top) / side
    out[0, :, 2:4] = np.log(decoded[0, :, 2:4] / side[:, None])
    return out


def pairs(*, share):
    """Corners, in pixels or as shares of the input, and scores."""
    corners, scores = np.zeros((1, 30, 4), np.float32), np.zeros((1, 30, 3), np.float32)
    for place, (box, label, score) in enumerate(FOUND, 4):
        corners[0, place] = box
        scores[0, place, label] = score
    return [corners[:, :, None] / SIDE if share else corners, scores]


def finished(columns):
    """Without the one that a network which suppresses by itself would not give."""
    kept = [FOUND[0], FOUND[2], FOUND[3]]
    if columns == 6:
        return np.array([[[*box, score, label] for box, label, score in kept]], np.float32)
    return np.array([[0, *box, label, score] for box, label, score in kept], np.float32)


LAYOUTS = {
    "YOLOv5": lambda: [rows(3 * CELLS, objectness=0.95)],
    "YOLOX": lambda: [rows(CELLS, objectness=0.95)],
    "YOLOX, undecoded": lambda: [undecoded(rows(CELLS, objectness=0.95))],
    "YOLOv6": lambda: [rows(CELLS, objectness=1)],
    "YOLOv8": lambda: [rows(CELLS).transpose(0, 2, 1)],
    "YOLO26": lambda: [finished(6)],
    "YOLOv7, suppressed": lambda: [finished(7)],
    "YOLOv4": lambda: pairs(share=True),
    "YOLO-NAS": lambda: pairs(share=False),
    "YOLOv5 with its heads": lambda: [
        rows(3 * CELLS, objectness=0.95),
        *(np.zeros((1, 3, side, side, 8), np.float32) for side in (8, 4, 2)),
    ],
}


def write(path, outputs, *, size=(SIDE, SIDE), kind=TensorProto.FLOAT, gain=None, noted=None):
    """A network of constants; ``gain`` times the mean of its first plane is added to the first."""
    picture = helper.make_tensor_value_info("images", kind, [1, 3, *size])
    first = helper.make_tensor("which", TensorProto.INT64, [1], [0])
    constants = [numpy_helper.from_array(each, f"c{n}") for n, each in enumerate(outputs)]
    gain = np.zeros_like(outputs[0]) if gain is None else gain
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Gather", ["floats", "which"], ["plane"], axis=1),
        helper.make_node("ReduceMean", ["plane"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["gain", "mean"], ["more"]),
        helper.make_node("Add", ["c0", "more"], ["o0"]),
        *(helper.make_node("Identity", [f"c{n}"], [f"o{n}"]) for n in range(1, len(outputs))),
    ]
    graph = helper.make_graph(
        nodes,
        "yolo",
        [picture],
        [
            helper.make_tensor_value_info(f"o{n}", TensorProto.FLOAT, each.shape)
            for n, each in enumerate(outputs)
        ],
        [first, numpy_helper.from_array(gain, "gain"), *constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if noted:
        helper.set_model_props(model, {"imgsz": noted})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    boxes, labels, scores = OnnxDetector(write(tmp_path / "d.onnx", LAYOUTS[name]()))(PICTURE)
    np.testing.assert_allclose(boxes, IN_PICTURE, atol=1e-3)
    assert labels.tolist() == [2, 0, 2]
    assert scores == pytest.approx([0.9, 0.7, 0.6], abs=1e-5)


def one_box(side=SIDE):
    """An end-to-end network's output, and the gain that makes its score the mean of a plane."""
    out = np.array([[[0, 0, side, side, 0, 1]]], np.float32)
    return out, np.array([[[0, 0, 0, 0, 1, 0]]], np.float32)


@pytest.mark.parametrize(
    ("kind", "of_one"),
    [(TensorProto.FLOAT, 1), (TensorProto.FLOAT16, 1), (TensorProto.UINT8, 255)],
    ids=["float32", "float16", "uint8"],
)
def test_samples(tmp_path, kind, of_one):
    """Red comes first, from 0 to 1, or as it is in a network of bytes."""
    out, gain = one_box()
    path = write(tmp_path / "d.onnx", [out], kind=kind, gain=gain / np.float32(of_one))
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[..., 0] = 51
    boxes, labels, scores = OnnxDetector(path)(picture)
    assert scores == pytest.approx([0.2], abs=1e-3) and labels.tolist() == [1]
    np.testing.assert_allclose(boxes, [[0, 0, 32, 32]])


def test_samples_of_yolox(tmp_path):
    """Blue comes first, from 0 to 255."""
    out = rows(CELLS, objectness=0.95)
    out[..., 5:] = 0
    out[0, 0, 5] = 1
    gain = np.zeros_like(out)
    gain[0, 0, 4] = 1 / 255
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[..., 2] = 51
    _, labels, scores = OnnxDetector(write(tmp_path / "d.onnx", [out], gain=gain))(picture)
    assert scores == pytest.approx([0.2], abs=1e-3) and labels.tolist() == [0]


@pytest.mark.parametrize(("noted", "side"), [(None, 640), ("[320, 320]", 320)])
def test_networks_of_any_size(tmp_path, noted, side):
    out, gain = one_box(side / 2)
    path = write(tmp_path / "d.onnx", [out], size=("h", "w"), gain=gain, noted=noted)
    boxes, _, _ = OnnxDetector(path)(np.full((100, 100, 3), 200, np.uint8))
    np.testing.assert_allclose(boxes, [[0, 0, 50, 50]])


def test_boxes_end_at_the_picture(tmp_path):
    """The padding of a high picture is left and right."""
    out, gain = one_box()
    picture = np.full((128, 64, 3), 200, np.uint8)
    boxes, _, _ = OnnxDetector(write(tmp_path / "d.onnx", [out], gain=gain))(picture)
    np.testing.assert_allclose(boxes, [[0, 0, 64, 128]])


def test_letterbox():
    picture = np.full((40, 80, 3), 255, np.uint8)
    whole, place = letterboxed(picture, 64, 64)
    assert whole.shape == (64, 64, 3) and place[:3] == (0.8, 0, 16)
    assert (whole[16:48] == 255).all() and (whole[:16] == 114).all() and (whole[48:] == 114).all()


def test_nothing_found(tmp_path):
    out = rows(CELLS).transpose(0, 2, 1) * np.float32([1] * 4 + [0] * 3)[:, None]
    boxes, labels, scores = OnnxDetector(write(tmp_path / "d.onnx", [out]))(PICTURE)
    assert (boxes.shape, labels.shape, scores.shape) == ((0, 4), (0,), (0,))


def test_the_surest_are_kept():
    left = np.arange(400.0) * 20
    boxes = np.stack([left, left * 0, left + 10, left * 0 + 10], 1)
    scores = np.linspace(0.1, 0.9, 400)
    kept = suppressed(Detections.of([boxes, np.arange(400) % 2, scores]))
    np.testing.assert_array_equal(kept.scores, np.sort(scores)[::-1][:MOST])


@pytest.mark.parametrize(
    "shapes",
    [[(1, 3, 8, 8, 85), (1, 3, 4, 4, 85)], [(1, 83, 7)], [(1, 10)]],
    ids=["heads", "of another size", "a classifier"],
)
def test_unknown_layouts(tmp_path, shapes):
    path = write(tmp_path / "d.onnx", [np.zeros(shape, np.float32) for shape in shapes])
    said = "as torchvision or a YOLO exports them: for a picture of 64x64 it gives o0 "
    with pytest.raises(ValueError, match=said):
        OnnxDetector(path)


@pytest.mark.parametrize("shape", [(1, SIDE, SIDE, 3), (4, 3, SIDE, SIDE)])
def test_unknown_pictures(tmp_path, shape):
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    given = helper.make_tensor_value_info("o", TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [helper.make_node("Relu", ["images"], ["o"])], "g", [picture], [given]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "d.onnx")
    with pytest.raises(ValueError, match="is not a detector of pictures: it takes images"):
        OnnxDetector(tmp_path / "d.onnx")


def test_scores_without_the_last_layer(tmp_path):
    out = rows(CELLS).transpose(0, 2, 1).copy()
    out[0, 5, 3] = -4
    out[0, 4:, 7] = 3.5
    path = write(tmp_path / "d.onnx", [out])
    with pytest.raises(ValueError, match=r"scores from -?\d.\d+ to 3.50, not from 0 to 1"):
        OnnxDetector(path)


def test_masks_are_refused(tmp_path):
    """Coefficients of masks behind the scores of classes are no scores."""
    out = rows(CELLS)
    coefficients = np.random.default_rng(0).normal(size=(1, CELLS, 32)).astype(np.float32)
    masks = np.zeros((1, 32, 16, 16), np.float32)
    both = np.concatenate([out, coefficients], 2).transpose(0, 2, 1)
    path = write(tmp_path / "d.onnx", [both, masks])
    with pytest.raises(ValueError, match="take a network of boxes alone"):
        OnnxDetector(path)


def test_in_an_evaluation(run, tmp_path):
    path = write(tmp_path / "d.onnx", LAYOUTS["YOLOv8"]())
    found = run({}, [{"codec": "libx264", "mode": "qp", "values": [40]}], detector=path)
    assert not found.failed and {row.figures["map"] for row in found.rows} == {1.0}

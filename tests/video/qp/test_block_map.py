"""Maps of blocks, and the scale that QPs are on."""

import sys

import numpy as np
import pytest

from vqe_fast import _host
from vqe_fast.video.qp import block_map
from vqe_fast.video.qp.block_map import paint_in_python, paint_qp
from vqe_fast.video.qp.quantizer_index import qp_of_index

PAINTERS = pytest.mark.parametrize("painter", [_host.paint_qp, paint_in_python])


def blocks(*rows):
    return np.array(rows, np.int32).reshape(-1, 5)


class TestPaint:
    def test_the_compiled_one_is_used(self):
        assert block_map._paint is _host.paint_qp

    def test_without_a_compiler(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "vqe_fast._host", None)
        assert block_map._compiled_or_python() is paint_in_python

    @PAINTERS
    def test_later_blocks_cover_earlier_ones(self, painter):
        grid = painter(blocks((0, 0, 16, 16, 5), (8, 0, 24, 8, -3)), 30, 3, 4, 8)
        assert grid.dtype == np.int16
        assert grid.tolist() == [[35, 27, 27, 27], [35, 35, 30, 30], [30, 30, 30, 30]]

    @PAINTERS
    def test_a_cell_belongs_to_the_block_at_its_centre(self, painter):
        assert painter(blocks((4, 0, 8, 8, 1)), 0, 1, 3, 8).tolist() == [[1, 0, 0]]
        assert painter(blocks((5, 0, 8, 8, 1)), 0, 1, 3, 8).tolist() == [[0, 1, 0]]

    @PAINTERS
    @pytest.mark.parametrize("delta", [2**31 - 1, -(2**31)])
    def test_values_are_limited(self, painter, delta):
        """They must not wrap around."""
        value = painter(blocks((0, 0, 8, 8, delta)), delta, 1, 1, 8).item()
        assert value == (32767 if delta > 0 else -32768)

    @PAINTERS
    @pytest.mark.parametrize("size", [(0, 5), (5, 0)])
    def test_nothing_to_paint_on(self, painter, size):
        assert painter(blocks((0, 0, 99, 99, 1)), 0, *size, 8).shape == size

    @pytest.mark.parametrize("cell", [1, 7, 8, 16])
    @pytest.mark.parametrize("reach", [60, 2**31 - 1])
    def test_both_paint_the_same(self, cell, reach):
        """Blocks lie anywhere, inside and far outside, inverted and empty ones among them."""
        generator = np.random.default_rng(cell)
        for _ in range(50):
            height, width = generator.integers(1, 12, 2)
            some = generator.integers(-reach - 1, reach, (20, 5), np.int32, endpoint=True)
            arguments = some, int(generator.integers(-50, 300)), height, width, cell
            expected = paint_in_python(*arguments)
            np.testing.assert_array_equal(_host.paint_qp(*arguments), expected)

    def test_every_second_block(self):
        """What is not contiguous is copied: sizes of blocks in side data are not ours."""
        every = blocks(*[(8 * i, 0, 8, 8, i) for i in range(6)])
        assert paint_qp(every[::2], 0, 1, 6, 8).tolist() == [[0, 0, 2, 0, 4, 0]]

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ((np.zeros((2, 4), np.int32), 0, 1, 1, 8), r"blocks must have the shape \(N, 5\)"),
            ((np.zeros(5, np.int32), 0, 1, 1, 8), r"blocks must have the shape \(N, 5\)"),
            ((blocks(), 0, -1, 1, 8), "at least 0"),
            ((blocks(), 0, 1, 1, 0), "cell at least 1"),
        ],
    )
    def test_wrong_arguments(self, arguments, sentence):
        with pytest.raises(ValueError, match=sentence):
            _host.paint_qp(*arguments)


class TestSteps:
    @pytest.mark.parametrize(
        ("depth", "index", "step"), [(8, 1, 8), (8, 100, 112), (10, 128, 700), (12, 200, 10220)]
    )
    def test_equal_steps_are_equal_qps(self, depth, index, step):
        """The step of a QP is 2^((QP − 4)/6) in samples of 8 bits; transforms have a gain of 8."""
        qp = qp_of_index(depth)[index]
        assert 2 ** ((qp - 4) / 6) == pytest.approx(step / 8 / 2 ** (depth - 8))

    @pytest.mark.parametrize("depth", [8, 10, 12])
    def test_range(self, depth):
        qps = qp_of_index(depth)
        assert qps.shape == (256,)
        assert (np.diff(qps) > 0).all()
        assert qps[-1] == pytest.approx(51, abs=0.05)

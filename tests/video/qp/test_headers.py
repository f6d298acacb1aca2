"""What headers mean, where no encoder at hand writes them."""

import pytest

from vqe_fast.video.qp.av1 import FrameTracker
from vqe_fast.video.qp.headers import Unit
from vqe_fast.video.qp.hevc import PictureSequencer

KEY, INTER, INTRA_ONLY = 0, 1, 2


class TestHEVC:
    SPS = Unit(
        "Sequence Parameter Set",
        {
            "sps_seq_parameter_set_id": 0,
            "log2_max_pic_order_cnt_lsb_minus4": 0,
            "pic_width_in_luma_samples": 130,
            "pic_height_in_luma_samples": 64,
            "log2_min_luma_coding_block_size_minus3": 0,
            "log2_diff_max_min_luma_coding_block_size": 3,
        },
    )
    PPS = Unit(
        "Picture Parameter Set",
        {
            "pps_pic_parameter_set_id": 0,
            "pps_seq_parameter_set_id": 0,
            "init_qp_minus26": 4,
            "tiles_enabled_flag": 0,
        },
    )
    TRAIL_N, TRAIL_R, RADL, RASL, IDR, CRA = 0, 1, 7, 9, 19, 21

    @pytest.fixture
    def sequencer(self):
        sequencer = PictureSequencer()
        assert sequencer.pictures([self.SPS, self.PPS]) == []
        return sequencer

    @staticmethod
    def slice(unit, order=0, **fields):
        return Unit(
            "Slice Segment Header",
            {
                "nal_unit_type": unit,
                "nuh_temporal_id_plus1": 1,
                "first_slice_segment_in_pic_flag": 1,
                "slice_pic_parameter_set_id": 0,
                "slice_pic_order_cnt_lsb": order % 16,
                "slice_type": 1,
                "slice_qp_delta": 0,
            }
            | fields,
        )

    def orders(self, sequencer, *slices):
        return [picture.order for each in slices for picture in sequencer.pictures([each])]

    def test_order_goes_on_beyond_its_bits(self, sequencer):
        """The nearest number with these last bits; at the same distance, the later one."""
        numbers = [0, 8, 4, 12, 20, 13, 21, 29]
        slices = [self.slice(self.TRAIL_R if n else self.IDR, n) for n in numbers]
        assert self.orders(sequencer, *slices) == numbers

    @pytest.mark.parametrize(
        ("fields", "order"),
        [
            ({"unit": TRAIL_R}, 11),
            ({"unit": TRAIL_N}, -5),
            ({"unit": RASL}, -5),
            ({"unit": RADL}, -5),
            ({"unit": TRAIL_R, "nuh_temporal_id_plus1": 2}, -5),
        ],
    )
    def test_what_the_order_is_relative_to(self, sequencer, fields, order):
        """Picture 7, unless a decoder may leave it out; else picture 0."""
        slices = self.slice(self.IDR), self.slice(order=7, **fields), self.slice(self.TRAIL_R, 11)
        assert self.orders(sequencer, *slices) == [0, 7, order]

    def test_order_begins_again(self, sequencer):
        slices = self.slice(self.IDR), self.slice(self.TRAIL_R, 5), self.slice(self.CRA, 6)
        assert self.orders(sequencer, *slices) == [0, 5, 6]
        sequencer.end_sequence()
        (after,) = sequencer.pictures([self.slice(self.CRA, 9)])
        (leading,) = sequencer.pictures([self.slice(self.RASL, 8)])
        assert (after.sequence, after.order, after.is_shown) == (2, 9, True)
        assert (leading.sequence, leading.order, leading.is_shown) == (2, 8, False)

    def test_pictures_not_meant_for_output(self, sequencer):
        hidden = self.slice(self.IDR, pic_output_flag=0)
        assert [picture.is_shown for picture in sequencer.pictures([hidden])] == [False]

    def test_type_and_mean_of_several_slices(self, sequencer):
        """One tree unit of I at QP 30, then two of B at QP 36; the segment between depends."""
        more = {"first_slice_segment_in_pic_flag": 0, "slice_segment_address": 1}
        dependent = self.slice(self.IDR, **more)
        del dependent.fields["slice_qp_delta"]
        units = [
            self.slice(self.IDR, slice_type=2),
            dependent,
            self.slice(self.IDR, slice_type=0, slice_qp_delta=6, **more),
        ]
        (picture,) = sequencer.pictures(units)
        assert (picture.type, picture.mean_qp()) == ("B", 34)

    def test_slices_without_their_beginning(self, sequencer):
        """Of no use, like those whose parameter sets are missing."""
        assert sequencer.pictures([self.slice(self.IDR, first_slice_segment_in_pic_flag=0)]) == []
        assert sequencer.pictures([self.slice(self.IDR, slice_pic_parameter_set_id=1)]) == []


class TestAV1:
    @pytest.fixture
    def tracker(self):
        """Has shown a key frame of index 50, which is in all slots."""
        tracker = FrameTracker()
        assert tracker.shown([self.frame(KEY, 50)]).index == 50
        return tracker

    @staticmethod
    def frame(kind, index, shown=1, refreshed=None, references=0):
        fields = {"show_existing_frame": 0, "frame_type": kind, "show_frame": shown}
        fields["base_q_idx"] = index
        if refreshed is not None:
            fields["refresh_frame_flags"] = refreshed
        if kind == INTER:
            fields |= {f"ref_frame_idx[{i}]": references for i in range(7)}
        return Unit("Frame Header", fields)

    @staticmethod
    def again(slot):
        fields = {"show_existing_frame": 1, "frame_to_show_map_idx": slot}
        return Unit("Frame Header", fields)

    def test_hidden_and_shown_later(self, tracker):
        hidden = self.frame(INTER, 70, shown=0, refreshed=1 << 3)
        assert tracker.shown([hidden, self.frame(INTER, 90, refreshed=0)]).index == 90
        assert tracker.shown([self.again(3)]).index == 70
        assert tracker.shown([self.again(2)]).index == 50

    def test_a_key_frame_shown_again_fills_all_slots(self, tracker):
        tracker.shown([self.frame(KEY, 60, shown=0, refreshed=1 << 1)])
        tracker.shown([self.again(1)])
        assert {tracker.shown([self.again(slot)]).index for slot in range(8)} == {60}

    def test_an_inter_frame_shown_again_fills_none(self, tracker):
        tracker.shown([self.frame(INTER, 60, shown=0, refreshed=1 << 1)])
        tracker.shown([self.again(1)])
        assert tracker.shown([self.again(0)]).index == 50

    def test_without_references(self):
        """What leans on a missing frame is missing as well."""
        tracker = FrameTracker()
        assert tracker.shown([self.frame(INTER, 80, refreshed=1 << 2)]) is None
        assert tracker.shown([self.again(2)]) is None
        assert tracker.shown([self.frame(INTRA_ONLY, 40, refreshed=1 << 5)]).index == 40
        assert tracker.shown([self.frame(INTER, 80, refreshed=0, references=5)]).index == 80
        assert tracker.shown([self.frame(INTER, 80, refreshed=0, references=4)]) is None

    def test_the_highest_layer_is_shown(self, tracker):
        layers = [self.frame(INTER, index, refreshed=0) for index in (90, 60)]
        assert tracker.shown(layers).index == 60

    def test_repeated_headers_have_no_fields(self, tracker):
        frame = self.frame(INTER, 90, refreshed=0)
        assert tracker.shown([frame, Unit("Frame Header", {})]).index == 90

    def test_still_picture(self):
        """Its header leaves out what goes without saying."""
        frame = FrameTracker().shown([Unit("Frame Header", {"base_q_idx": 12})])
        assert (frame.kind, frame.index, frame.depth) == (KEY, 12, 8)

    @pytest.mark.parametrize(
        ("fields", "depth"),
        [({}, 8), ({"high_bitdepth": 1}, 10), ({"high_bitdepth": 1, "twelve_bit": 1}, 12)],
    )
    def test_depth(self, fields, depth):
        units = [Unit("Sequence Header", {"high_bitdepth": 0} | fields), self.frame(KEY, 1)]
        assert FrameTracker().shown(units).depth == depth

import pytest

from vqe_fast.training.timed_schedule import ClockSchedule


def test_by_the_clock():
    schedule = ClockSchedule(200.0, warmup=100, cooldown=0.5)
    assert schedule.factor_at(0, 0) == 0.01
    assert schedule.factor_at(10, 49) == 0.5
    assert schedule.factor_at(100, 200) == 1
    assert schedule.factor_at(150, 200) == 0.5
    assert schedule.factor_at(150, 9) == pytest.approx(0.1), "a slow start"
    assert schedule.factor_at(201, 200) == 0
    assert [schedule.is_over(seconds) for seconds in (199.9, 200)] == [False, True]

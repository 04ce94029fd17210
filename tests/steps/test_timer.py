import time

from neurosbi.steps.timer import Timer


def test_blocks_of_one_name_add_up():
    timer = Timer()
    for _ in range(2):
        with timer("a"):
            time.sleep(0.02)
    with timer("b"):
        pass
    assert timer.seconds["a"] >= 0.04
    assert timer.seconds["b"] < timer.seconds["a"]

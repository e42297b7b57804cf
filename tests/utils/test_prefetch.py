import threading
import time

import pytest

from ferwatch.utils.prefetch import prefetch


def threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


def test_keeps_the_order():
    assert list(prefetch(range(1000), 3)) == list(range(1000))


def test_runs_ahead_of_its_consumer_but_not_without_bound():
    made = []

    def items():
        for i in range(100):
            made.append(i)
            yield i

    ahead = prefetch(items(), 5)
    assert next(ahead) == 0
    time.sleep(0.2)
    # One with the consumer, five in the queue, one waiting for room.
    assert made == list(range(7))
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield from "abc"
        raise ValueError("the fourth")

    ahead = prefetch(items(), 2)
    assert [next(ahead), next(ahead), next(ahead)] == ["a", "b", "c"]
    with pytest.raises(ValueError, match="the fourth"):
        next(ahead)
    assert threads() == 0


@pytest.mark.parametrize("size", [1, 2, 8])
def test_a_consumer_that_stops_early_leaves_no_thread(size):
    closed = []

    def items():
        try:
            yield from range(10_000)
        finally:
            closed.append(True)

    for _ in range(50):
        ahead = prefetch(items(), size)
        for item in ahead:
            if item == 3:
                break
        ahead.close()
        assert threads() == 0
    assert len(closed) == 50

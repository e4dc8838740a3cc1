"""Waiting for a condition with a deadline: the one way in which these tests wait."""

import time


class Timeout(Exception):
    pass


def wait_until(condition, what, seconds=10.0, interval=0.02):
    """Returns the condition's first true value; after the deadline raises Timeout naming `what`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise Timeout(f"{what}: not within {seconds:g} s")
        time.sleep(interval)

# SPDX-License-Identifier: Apache-2.0
"""Energy between two points in time, from a counter that moves in steps.

NVML's energy counter is brought up to date every 20 to 100 ms, by card. Reading it at the start and
at the end of half a second is wrong by a step at either end; so it is watched, and energy and time
are taken between the first and the last moment at which it moved.
"""
import threading
import time

POLL_S = 0.004
SPAN_LEAST_S = 0.15  # two steps of the slowest counter apart, or the ends are told instead


class Watch:
    """`with Watch(card) as watch: ...`, then watch.mean_power()."""

    def __init__(self, card):
        self._card = card
        self._seen = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self):
        self._note()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._note()

    def _look(self):
        while not self._over.wait(POLL_S):
            self._note()

    def _note(self):
        self._seen.append((time.perf_counter(), self._card.energy_mj()))

    def mean_power(self):
        """{mean_power_w, window_s, window_j, steps}; None where the card does not count."""
        return mean_power(self._seen)

    def highest_power_w(self, window_s):
        """Of the window that took most; None where the card does not count, or all was shorter."""
        return highest_power_w(self._seen, window_s)


def mean_power(seen):
    """From (seconds, millijoules) in the order of time."""
    seen = [(moment, energy) for moment, energy in seen if energy is not None]
    moved = [after for before, after in zip(seen, seen[1:]) if after[1] != before[1]]
    steps = len(moved)
    if steps < 2 or moved[-1][0] - moved[0][0] < SPAN_LEAST_S:
        moved = seen
    if len(moved) < 2 or moved[-1][0] <= moved[0][0]:
        return None
    window_s = moved[-1][0] - moved[0][0]
    window_j = (moved[-1][1] - moved[0][1]) / 1000
    return {'mean_power_w': round(window_j / window_s, 3), 'window_s': round(window_s, 4),
            'window_j': round(window_j, 4), 'steps': steps}


def highest_power_w(seen, window_s):
    """From (seconds, millijoules) in the order of time."""
    seen = [(moment, energy) for moment, energy in seen if energy is not None]
    highest, begin = None, 0
    for moment, energy in seen:
        while begin + 1 < len(seen) and moment - seen[begin + 1][0] >= window_s:
            begin += 1
        span_s = moment - seen[begin][0]
        if span_s >= window_s:
            power_w = (energy - seen[begin][1]) / 1000 / span_s
            highest = power_w if highest is None else max(highest, power_w)
    return highest and round(highest, 1)

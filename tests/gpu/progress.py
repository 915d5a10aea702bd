# SPDX-License-Identifier: Apache-2.0
"""How long things take here, and how far the run is."""
import sys
import time

import plan

PLAIN_EVERY_S = 20
TERMINAL_EVERY_S = 0.2


class Pace:
    """Corrects the plan's guesses by what was measured, family by family."""

    def __init__(self, records):
        self._ratios = {}
        self._all = 1.0
        for record in records:
            if 'took_s' in record:
                self.note(record)

    def note(self, record):
        """Learns from a model's record; what failed took another time than it would have."""
        if record['status'] != 'ok' or record['kind'] != 'model':
            return
        ratio = record['took_s'] / record['estimate_s']
        ratio = min(10.0, max(0.1, ratio))
        self._all += 0.1 * (ratio - self._all)
        known = self._ratios.get(record['family'], ratio)
        self._ratios[record['family']] = known + 0.3 * (ratio - known)

    def expected_s(self, task, fresh):
        return (task['estimate_s'] * self._ratios.get(task['family'], self._all)
                + (plan.VISIT_S if fresh else 0))


class Progress:
    """A line on stderr that says how far the run is: in place on a terminal, else at times."""

    def __init__(self, total, done, deadline_s):
        self._total, self._before, self._done = total, done, done
        self._statuses = {}
        self._started_s = time.monotonic()
        self._deadline_s = deadline_s
        self._told_s = self._started_s
        self._terminal = sys.stderr.isatty()

    def count(self, status):
        self._done += 1
        self._statuses[status] = self._statuses.get(status, 0) + 1

    def tell(self, what):
        """Called often; speaks when it is time to."""
        now_s = time.monotonic()
        if now_s - self._told_s < (TERMINAL_EVERY_S if self._terminal else PLAIN_EVERY_S):
            return
        self._told_s = now_s
        line = f'{self._figures(now_s)}, {what}'
        sys.stderr.write(f'\r\x1b[K{line[:100]}' if self._terminal else line + '\n')
        sys.stderr.flush()

    def _figures(self, now_s):
        measured = self._done - self._before
        line = f'{self._done}/{self._total} measured'
        if measured:
            each_s = (now_s - self._started_s) / measured
            all_s = each_s * (self._total - self._done)
            left_s = max(0.0, min(all_s, self._deadline_s - now_s))
            line += f', {60 / each_s:.0f} a minute, {left_s / 60:.1f} min left'
        return line

    def summary(self, ending):
        """The last line: what this run has added, and why it ends."""
        counts = ', '.join(f'{count} {status}' for status, count in sorted(self._statuses.items()))
        spent_min = (time.monotonic() - self._started_s) / 60
        sys.stderr.write(('\r\x1b[K' if self._terminal else '')
                         + f'{ending}: {self._done}/{self._total} measured; in this run '
                         + f'{counts or "none"}, {spent_min:.1f} min\n')

# SPDX-License-Identifier: Apache-2.0
"""One run: from the first configuration that is not in the file to the deadline."""
import signal
import time

import crew
import plan
import progress

MACHINE_LIMIT_S = 120
GRACE_S = 3             # beyond the deadline, for what takes longer than expected
FAILURES_MOST = 12      # in a row, of several families: then it is the machine that fails
FAILING_FAMILIES = 3


class Stopped(Exception):
    """Somebody has asked the run to end."""


class MachineFails(Exception):
    """So much fails that it cannot be the models."""


class Run:
    def __init__(self, wish, visits, results):
        self._wish, self._results = wish, results
        self._deadline_s = time.monotonic() + 60 * wish.minutes
        total = sum(map(len, visits))
        self._left = [[task for task in visit if task['key'] not in results.done]
                      for visit in visits]
        done = total - sum(map(len, self._left))
        self._progress = progress.Progress(total, done, self._deadline_s)
        self._pace = progress.Pace(results.records)
        self._now = 'starting'
        self._stop = False
        self._skipped = 0
        self._failing = []  # families of what has failed since the last success

    def through(self):
        """Measures what is left and fits into the time; returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._asked_to_stop)
        ending, code = 'all done', 0
        try:
            with crew.Crew(self._wish.device, plan.libraries(self._left), self._tick) as workers:
                if any(self._left):
                    self._begin(workers)
                for visit in self._left:
                    self._visit(workers, visit)
            if self._skipped:
                ending = 'time is up'
        except Stopped:
            ending = 'stopped as asked'
        except MachineFails:
            ending, code = 'stopped, since one configuration after another fails', 1
        self._progress.summary(ending)
        return code

    def _asked_to_stop(self, *_):
        self._stop = True

    def _tick(self):
        if self._stop:
            raise Stopped
        self._progress.tell(self._now)

    def _begin(self, workers):
        """The machine's record, and the end of it where the file is of another machine."""
        try:
            machine = workers.ask('machine', limit_s=MACHINE_LIMIT_S)
        except crew.Lost as lost:
            raise crew.Unable(f'the worker cannot tell its machine: {lost}') from lost
        workers.dismiss()
        self._results.begin(machine)
        missing = set(plan.libraries(self._left)) - set(workers.libraries)
        self._left = [visit for visit in self._left if not missing & set(plan.libraries([visit]))]

    def _visit(self, workers, visit):
        """Configurations that share a process, as many as fit into the time."""
        for task in visit:
            expected_s = self._pace.expected_s(task, workers.fresh)
            if time.monotonic() + expected_s > self._deadline_s:
                self._skipped += 1
                continue
            self._now = task['key']
            started_s = time.monotonic()
            result = self._measured(workers, task)
            if result is None:
                self._skipped += 1
                continue
            record = {**task, **result, 'took_s': round(time.monotonic() - started_s, 3)}
            self._results.append(record)
            self._pace.note(record)
            self._progress.count(record['status'])
            self._look_at_failures(record)
        workers.dismiss()

    def _measured(self, workers, task):
        """What came of it; None if the deadline came first.

        What fails in a process that has measured others is tried again in a fresh one: models keep
        things between calls that the next type of weights cannot use.
        """
        fresh = workers.fresh
        result = self._asked(workers, task)
        if result and result['status'] == 'error' and not fresh:
            result = self._asked(workers, task)
        return result

    def _asked(self, workers, task):
        limit_s = min(self._wish.timeout, self._deadline_s + GRACE_S - time.monotonic())
        do = 'calibrate' if task['kind'] == 'calibration' else 'measure'
        try:
            return workers.ask(do, task, limit_s)
        except crew.Lost as lost:
            if lost.status == 'timeout' and limit_s < self._wish.timeout:
                return None
            return {'status': lost.status, 'error': str(lost)}

    def _look_at_failures(self, record):
        if record['status'] in ('ok', 'oom'):
            self._failing = []
            return
        self._failing.append(record['family'])
        if (len(self._failing) >= FAILURES_MOST
                and len(set(self._failing)) >= FAILING_FAMILIES):
            raise MachineFails

# SPDX-License-Identifier: Apache-2.0
"""A program that is run for so long and no longer, and whose words are kept whatever becomes of it.

It has a process group of its own: with it go the processes that it has started, and no others.
"""
import contextlib
import os
import signal
import subprocess
import tempfile
import time

import journal

STOPPING = {signal.SIGINT, signal.SIGTERM}
LOOK_S = 0.02       # between looks at what goes on
END_S = 3           # from being asked to end until it is killed
KEPT_MOST = 4 << 20  # bytes of what it says
TAIL_LINES, TAIL_CHARACTERS = 12, 2000


class Stopped(Exception):
    """Somebody has asked the run to end."""


class Ended:
    """What became of a program: `status` is ok, failed, timeout or missing."""

    def __init__(self, status, reason, seconds, out='', errors=''):
        self.status, self.reason, self.seconds = status, reason, round(seconds, 1)
        self.out, self.errors = out, errors
        self.code = None

    def record(self):
        told = {'status': self.status, 'seconds': self.seconds}
        if self.reason:
            told['reason'] = self.reason
        return told


def run(command, limit_s, environment=None):
    """Runs it to its end, or to the limit. Raises Stopped, after it is gone."""
    return run_together([command], limit_s, environment)[0]


def run_together(commands, limit_s, environment=None):
    """Runs them at the same time, each to its end, or all to the limit. Raises Stopped, after they
    are gone."""
    if limit_s <= 0:
        return [Ended('timeout', 'not begun: time is up', 0) for _ in commands]
    with contextlib.ExitStack() as files:
        running = [_Running(command, files) for command in commands]
        try:
            for one in running:
                one.start(environment)
            over_s = time.monotonic() + limit_s
            while any([one.goes_on() for one in running]) and time.monotonic() < over_s:
                time.sleep(LOOK_S)
        finally:
            held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # till all have ended
            _end([one.process for one in running if one.process])
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        return [one.ended(limit_s) for one in running]


class _Running:
    def __init__(self, command, files):
        self._command, self.process, self._missing = command, None, None
        self._out = files.enter_context(tempfile.TemporaryFile())
        self._errors = files.enter_context(tempfile.TemporaryFile())
        self._started_s = self._over_s = time.monotonic()
        self._in_time = False

    def start(self, environment):
        held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # else it would run, unknown to us
        try:
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=self._out, stderr=self._errors,
                env=environment, start_new_session=True,
                preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, held))
        except OSError as error:
            self._missing = journal.scrubbed(f'{self._command[0]}: {error.strerror}')
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)

    def goes_on(self):
        if self.process is None or self._in_time:
            return False
        self._over_s = time.monotonic()
        self._in_time = self.process.poll() is not None
        return not self._in_time

    def ended(self, limit_s):
        if self._missing:
            return Ended('missing', self._missing, 0)
        code = self.process.returncode
        status, reason = (('timeout', f'ended after {limit_s:.0f} s') if not self._in_time
                          else ('failed', ending(code)) if code else ('ok', None))
        ended = Ended(status, reason, self._over_s - self._started_s, _text(self._out),
                      _text(self._errors))
        ended.code = code
        return ended


def _end(processes):
    """Asks them and their children to end, then ends them. A group without members is no error."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            try:
                os.killpg(process.pid, number)
            except ProcessLookupError:
                pass
        over_s = time.monotonic() + END_S
        for process in processes:
            try:
                process.wait(max(0, over_s - time.monotonic()))
            except subprocess.TimeoutExpired:  # a GPU that hangs holds its process: left behind
                continue


def ending(code):
    return f'killed by signal {-code}' if code < 0 else f'exit code {code}'


def _text(file):
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - KEPT_MOST))
    return file.read().decode('utf-8', 'replace')


def tail(text):
    """The last lines, without this machine's folders and name."""
    lines = [line.rstrip() for line in text.strip().split('\n')]
    return journal.scrubbed('\n'.join(lines[-TAIL_LINES:]))[-TAIL_CHARACTERS:]

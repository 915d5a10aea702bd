# SPDX-License-Identifier: Apache-2.0
"""A program that is run for so long and no longer, and whose words are kept whatever becomes of it.

It has a process group of its own: with it go the processes that it has started, and no others.
"""
import os
import signal
import subprocess
import tempfile
import time

import journal

STOPPING = {signal.SIGINT, signal.SIGTERM}
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
    started_s = time.monotonic()
    if limit_s <= 0:
        return Ended('timeout', 'not begun: time is up', 0)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        status, reason, process = 'ok', None, None
        held = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)  # else it would run, unknown to us
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors,
                                       env=environment, start_new_session=True,
                                       preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_SETMASK, held))
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            process.wait(limit_s)
        except OSError as error:
            return Ended('missing', journal.scrubbed(f'{command[0]}: {error.strerror}'), 0)
        except subprocess.TimeoutExpired:
            status, reason = 'timeout', f'ended after {limit_s:.0f} s'
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
            if process:
                _end(process)
        if status == 'ok' and process.returncode != 0:
            status, reason = 'failed', ending(process.returncode)
        ended = Ended(status, reason, time.monotonic() - started_s, _text(out), _text(errors))
        ended.code = process.returncode
        return ended


def _end(process):
    """Asks it and its children to end, then ends them. A group without members is no error."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:  # a GPU that hangs holds its process: it is left behind
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

# SPDX-License-Identifier: Apache-2.0
"""The processes of one private cluster: started here, ended here, whatever happens.

Daemons are our own children in the foreground. What they fork and abandon (slurmstepd, the jobs)
comes back to us, because this process is a child subreaper, and is told apart from the rest by a
mark in its environment. A signal to this process unwinds the `with` blocks; should this process
be killed outright, the kernel takes the daemons with it (parent death signal).
"""
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWUTS = 0x04000000
_libc = ctypes.CDLL(None, use_errno=True)
_started = set()  # the pid of every Popen of ours


class Timeout(Exception):
    pass


def wait_until(predicate, seconds, what):
    """Polls until predicate() is true and returns its value; raises Timeout naming `what`."""
    deadline = time.monotonic() + seconds
    pause = 0.002
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f'gave up after {seconds} s waiting for {what}')
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class Interrupted(KeyboardInterrupt):
    """A signal asked us to stop. Not a SystemExit: unittest would count that and go on."""


_held = None  # signals that came while cleaning up; None = not cleaning up


def _report(kind, value, trace):
    if kind is Interrupted:
        print(f'stopped by {value}', file=sys.stderr)
    else:
        sys.__excepthook__(kind, value, trace)


def _unwind(number, _frame):
    if _held is None:
        raise Interrupted(signal.Signals(number).name)
    _held.append(number)


def adopt_orphans():
    """Once per program, from its main thread: signals unwind, orphans come back to us."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _unwind)
    sys.excepthook = _report
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    # When the test runner dies, so do we: in order, through _unwind.
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def take_own_host_name(name):
    """For this thread and the processes it starts; does nothing without the permission."""
    if _libc.unshare(_CLONE_NEWUTS) == 0:
        _libc.sethostname(name.encode(), len(name))


@contextlib.contextmanager
def signals_held():
    """Cleaning up is not interrupted: a signal that comes in it is taken afterwards."""
    global _held
    if _held is not None:
        yield
        return
    _held = []
    try:
        yield
    finally:
        came, _held = _held, None
    if came:
        _unwind(came[0], None)


def _parent_of(pid):
    try:
        with open(f'/proc/{pid}/stat', 'rb') as stat:
            # The name in brackets may hold anything; the fields begin after the last bracket.
            return int(stat.read().rpartition(b')')[2].split()[1])
    except (OSError, IndexError):
        return 0


def _descends_from_us(pid):
    us = os.getpid()
    while pid > 1:
        pid = _parent_of(pid)
        if pid == us:
            return True
    return False


def _environment_of(pid):
    try:
        with open(f'/proc/{pid}/environ', 'rb') as environ:
            return environ.read().split(b'\0')
    except OSError:
        return []


class Processes:
    """mark: a NAME=value that every process of this group has in its environment."""

    def __init__(self, mark):
        self._mark = mark
        self._running = {}

    def start(self, name, argv, environment, log):
        """Starts argv in the foreground with its output appended to the file `log`."""
        # The parent death signal follows the thread that forked.
        assert threading.current_thread() is threading.main_thread()
        variable, _, value = self._mark.partition('=')

        def before_exec():
            # A blocked signal stays blocked across exec.
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

        with open(log, 'ab') as output:
            process = subprocess.Popen(argv, env={**environment, variable: value}, cwd='/',
                                       stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                       start_new_session=True, preexec_fn=before_exec)
        self._running[name] = process
        _started.add(process.pid)
        return process

    def __getitem__(self, name):
        return self._running[name]

    def alive(self, name):
        return name in self._running and self._running[name].poll() is None

    def ended(self):
        """Names of those that ended without having been stopped."""
        return [name for name in self._running if not self.alive(name)]

    def stop(self, name, seconds=10):
        """Ends one daemon: politely, then by force. Returns its exit status, None if not there."""
        process = self._running.pop(name, None)
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGCONT)  # a stopped process takes SIGTERM only then
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def stop_all(self):
        for name in reversed(list(self._running)):
            self.stop(name)
        self.end_orphans()

    def orphans(self):
        """Pids of ours that no longer have the parent that started them, or never were waited for."""
        known = {process.pid for process in self._running.values()}
        mark = self._mark.encode()
        found = []
        for entry in os.listdir('/proc'):
            if entry.isdigit() and int(entry) not in known and mark in _environment_of(entry):
                if _descends_from_us(int(entry)):
                    found.append(int(entry))
        return found

    def end_orphans(self):
        """Job steps and jobs that slurmd left: killed until none is there."""
        def none_left():
            left = self.orphans()  # zombies have no environment any more
            for pid in left:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            _reap_adopted()
            return not left
        wait_until(none_left, 20, 'the processes of jobs to end')



def _reap_adopted():
    """Takes the exit status of processes that came back to us; those of Popen objects stay."""
    for entry in os.listdir('/proc'):
        if entry.isdigit() and int(entry) not in _started and _parent_of(entry) == os.getpid():
            with contextlib.suppress(OSError):
                os.waitpid(int(entry), os.WNOHANG)


def print_tail(path, title, lines=25, stream=sys.stderr):
    try:
        with open(path, 'rb') as log:
            tail = log.read().decode('utf-8', 'replace').splitlines()[-lines:]
    except OSError:
        return
    if tail:
        print(f'--- the end of {title}', *tail, sep='\n', file=stream)

# SPDX-License-Identifier: Apache-2.0
"""The program's side of the worker: starts it, asks it, ends it, and outlives it.

A worker is two processes (worker.py): one stands ready, and the child that it forks measures.
Whatever becomes of the child, or of both, is told as `Lost` and costs one configuration.
"""
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time

START_S = 300   # torch and the model libraries, from a cold disk
END_S = 20      # a GPU that hangs holds its process; then both are left behind
TICK_S = 0.2

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'worker.py')
ENVIRONMENT = {
    'CUDA_DEVICE_ORDER': 'PCI_BUS_ID',        # CUDA and NVML number the cards alike
    'PYTORCH_NVML_BASED_CUDA_CHECK': '1',     # a library that asks for a GPU must not open it
    'HF_HUB_OFFLINE': '1',
    'TOKENIZERS_PARALLELISM': 'false',
}


class Lost(Exception):
    """The worker was lost over a request: status is 'error' or 'timeout'."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status


class Unable(Exception):
    """No worker can work here; the text says why."""


class Crew:
    """`tick` is called several times a second while a worker is waited for, and may raise."""

    def __init__(self, device, libraries, tick, fork=True):
        self._settings = {'device': device, 'libraries': libraries, 'fork': fork}
        self._tick = tick
        self._process = None
        self._child = None
        self._heard = b''
        self._errors = tempfile.TemporaryFile('a+b')  # all write to its end, and none moves another

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._abandon()
        self._errors.close()

    @property
    def fresh(self):
        """Whether the next request meets a process that has measured nothing."""
        return self._child is None

    def ask(self, do, task=None, limit_s=60):
        """The record that comes back. Raises Lost; the next request meets another process."""
        self._start()
        self._send({'do': do, 'task': task})
        deadline_s = time.monotonic() + limit_s
        while True:
            message = self._next(deadline_s)
            if message is None:
                self._kill()
                raise Lost('timeout', f'killed after {limit_s:.0f} s')
            event = message['event']
            if event == 'serving':
                self._child = message['pid']
            elif event == 'left':
                self._child = None
                raise Lost('error', self._obituary(message['code']))
            elif event == 'unable':
                self._await_left()
                return self._without_fork(message['error'], do, task, limit_s)
            elif event == 'reply':
                if message['leaving']:
                    self._await_left()
                return message['record']

    def dismiss(self):
        """Ends the child, and with it all that it holds on the GPU."""
        if self._child is not None:
            self._send({'do': 'finish'})
            self._await_left()

    def _without_fork(self, why, do, task, limit_s):
        """A device that does not open in a forked process may open in one that was started."""
        if not self._settings['fork']:
            raise Unable(why)
        self._abandon()
        self._settings['fork'] = False
        return self.ask(do, task, limit_s)

    def _start(self):
        if self._process:
            return
        self._heard = b''
        self._process = subprocess.Popen(
            [sys.executable, WORKER, json.dumps(self._settings)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=self._errors, env={**os.environ, **ENVIRONMENT})
        message = self._next(time.monotonic() + START_S)
        if message is None or message['event'] != 'ready':
            why = 'it does not get ready' if message is None else self._obituary(message['code'])
            self._abandon()
            raise Unable(f'the worker cannot be started: {why}')
        self._settings['libraries'] = message['libraries']

    @property
    def libraries(self):
        """Those that could be imported; starts the worker, which finds out."""
        self._start()
        return self._settings['libraries']

    def _send(self, request):
        try:
            os.write(self._process.stdin.fileno(), json.dumps(request).encode() + b'\n')
        except BrokenPipeError:
            pass  # it has died; the answer says so

    def _next(self, deadline_s):
        """The next message; None at the deadline. The end of the pipe is a message, too."""
        out = self._process.stdout.fileno()
        while b'\n' not in self._heard:
            self._tick()
            if time.monotonic() >= deadline_s:
                return None
            if select.select([out], [], [], TICK_S)[0]:
                part = os.read(out, 1 << 20)
                if not part:
                    code = self._ended()
                    self._abandon()
                    return {'event': 'left', 'code': code}
                self._heard += part
        line, self._heard = self._heard.split(b'\n', 1)
        return json.loads(line)

    def _ended(self):
        try:
            return self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # its pipe is closed, and yet it lives
            return -signal.SIGKILL

    def _await_left(self):
        """Waits until the child is gone, so that nothing of it is in the next one's memory."""
        deadline_s = time.monotonic() + END_S
        while self._process:
            message = self._next(deadline_s)
            if message is None:
                self._abandon()
            elif message['event'] == 'left':
                break
        self._child = None

    def _kill(self):
        """Ends the child whatever it does, or the worker if there is none yet."""
        if self._child in (None, self._process.pid):
            self._abandon()
            return
        try:
            os.kill(self._child, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._await_left()

    def _abandon(self):
        if self._process:
            self._process.kill()  # the child dies with it
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                pass
            for pipe in (self._process.stdin, self._process.stdout):
                pipe.close()
        self._process, self._child = None, None

    def _obituary(self, code):
        """How it died, and the last thing that it said."""
        how = f'signal {-code}' if code < 0 else f'exit {code}'
        self._errors.seek(0)
        said = [line.strip() for line in self._errors.read().decode(errors='replace').split('\n')
                if line.strip()]
        self._errors.truncate(0)
        return f'worker ended by {how}' + (f': {said[-1][:200]}' if said else '')

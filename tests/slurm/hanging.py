# SPDX-License-Identifier: Apache-2.0
"""A folder on a real file system that answers until it is told not to, as one does whose server is
gone: whoever asks it then waits in the kernel, and no signal ends that. FUSE, by its own protocol.

Source: include/uapi/linux/fuse.h of Linux, protocol 7.31.
"""
import contextlib
import errno
import os
import stat
import struct
import threading
import time
import unittest

from mounts import MNT_DETACH, MNT_FORCE, MS_NODEV, MS_NOSUID, mount, take_own_mounts, unmount

_LOOKUP, _FORGET, _GETATTR, _OPEN, _READ, _RELEASE, _FLUSH, _INIT = 1, 2, 3, 14, 15, 18, 25, 26
_INTERRUPT, _BATCH_FORGET = 36, 42
_UNANSWERED = {_FORGET, _INTERRUPT, _BATCH_FORGET}
_ROOT = 1  # the folder's node; files follow


class HangingFolder:
    """
    Mounts itself at `path`, which it makes, for us and the processes that are started afterwards.
    Skips the test where that is not allowed. files: name -> content; only whoever mounts may read.
    """

    def __init__(self, path, files):
        self.path = path
        self._files = list(files.items())
        self._made = int(time.time())
        self._lock = threading.Lock()
        self._hangs, self._held = frozenset(), []
        os.makedirs(path)
        try:
            self._device = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            raise unittest.SkipTest(f'/dev/fuse: {problem.strerror}') from problem

    def __enter__(self):
        take_own_mounts()
        mount('fuse', self.path, MS_NOSUID | MS_NODEV,
              f'fd={self._device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}')
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()
        return self

    def __exit__(self, *_):
        # By force: whoever waits gets an error, and so does the server.
        unmount(self.path, MNT_FORCE | MNT_DETACH)
        self._server.join(10)
        os.close(self._device)

    def hang(self, *operations):
        """From now on nothing is answered, or none of these: 'lookup', 'getattr', 'open', 'read'."""
        codes = {'lookup': _LOOKUP, 'getattr': _GETATTR, 'open': _OPEN, 'read': _READ}
        with self._lock:
            self._hangs = frozenset(codes[name] for name in operations or codes)

    def answer(self):
        """What was held back, and from now on everything."""
        with self._lock:
            self._hangs, held = frozenset(), self._held
            self._held = []
        for request in held:
            self._reply(request)

    @property
    def waiting(self):
        """How many requests are held back."""
        with self._lock:
            return len(self._held)

    def _serve(self):
        while True:
            try:
                request = os.read(self._device, 1 << 17)
            except OSError as problem:
                if problem.errno == errno.ENODEV:  # unmounted
                    return
                continue  # one was taken back
            with self._lock:
                hangs = struct.unpack_from('<4xI', request)[0] in self._hangs
                if hangs:
                    self._held.append(request)
            if not hangs:
                self._reply(request)

    def _reply(self, request):
        code, unique, node = struct.unpack_from('<4xIQQ', request)
        if code in _UNANSWERED:
            return
        try:
            failure, body = 0, self._body(code, node, request[40:])
        except OSError as problem:
            failure, body = -problem.errno, b''
        # Whoever asked may be gone.
        with contextlib.suppress(OSError):
            os.write(self._device, struct.pack('<IiQ', 16 + len(body), failure, unique) + body)

    def _body(self, code, node, arguments):
        if code == _INIT:
            return struct.pack('<IIIIHHIIHHI7I', 7, 31, 1 << 16, 0, 0, 0, 1 << 16, 1, *[0] * 10)
        if code == _LOOKUP:
            names = [name for name, _ in self._files]
            wanted = arguments.rstrip(b'\0').decode()
            if wanted not in names:
                raise OSError(errno.ENOENT, wanted)
            found = _ROOT + 1 + names.index(wanted)
            # Good for no time: whoever asks again, asks us.
            return struct.pack('<QQQQII', found, 0, 0, 0, 0, 0) + self._attributes(found)
        if code == _GETATTR:
            return struct.pack('<QII', 0, 0, 0) + self._attributes(node)
        if code == _OPEN:
            return struct.pack('<QII', 0, 0, 0)
        if code == _READ:
            offset, size = struct.unpack_from('<8xQI', arguments)
            return self._files[node - _ROOT - 1][1][offset:offset + size]
        if code in (_FLUSH, _RELEASE):
            return b''
        raise OSError(errno.ENOSYS, 'not served')

    def _attributes(self, node):
        folder = node == _ROOT
        size = 0 if folder else len(self._files[node - _ROOT - 1][1])
        mode = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | 0o644
        return struct.pack('<6Q10I', node, size, 0, *[self._made] * 3, 0, 0, 0, mode, 1, os.getuid(),
                           os.getgid(), 0, 4096, 0)

# SPDX-License-Identifier: Apache-2.0
"""A daemon that lies: listens where auspexd would and answers what it is told to.

    with Impostor(path, lambda request, earlier: [b'garbage']) as liar: ...

answer(request, earlier) returns the messages to send back, in order: bytes; CLOSE hangs up. `earlier`
is the list of all requests so far, this one last.
"""
import contextlib
import os
import selectors
import socket
import threading

CLOSE = object()
HANG_UP_FIRST = object()  # as `answer`: close each connection as soon as it is there


class Impostor:
    def __init__(self, path, answer):
        self._path, self._answer = path, answer
        self.requests = []
        self.connections = 0

    def __enter__(self):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self._path)
        self._listener.listen(64)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._wake.close()
        self._thread.join()
        self._listener.close()
        os.unlink(self._path)

    def _serve(self):
        with selectors.DefaultSelector() as ready, contextlib.ExitStack() as open_sockets:
            open_sockets.enter_context(self._woken)
            ready.register(self._woken, selectors.EVENT_READ)
            ready.register(self._listener, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    if key.fileobj is self._woken:
                        return
                    if key.fileobj is self._listener:
                        self._accept(ready, open_sockets)
                    elif not self._serve_one(key.fileobj):
                        ready.unregister(key.fileobj)
                        key.fileobj.close()

    def _accept(self, ready, open_sockets):
        peer, _ = self._listener.accept()
        self.connections += 1
        if self._answer is HANG_UP_FIRST:
            peer.close()
            return
        open_sockets.enter_context(peer)
        ready.register(peer, selectors.EVENT_READ)

    def _serve_one(self, peer):
        """Returns whether the connection goes on."""
        try:
            request = peer.recv(1 << 20)
            if not request:
                return False
            self.requests.append(request)
            for message in self._answer(request, self.requests):
                if message is CLOSE:
                    return False
                peer.send(message)
        except OSError:
            return False
        return True


class Relay:
    """Asks the real daemon, which listens elsewhere, and hands on its answer, changed or not."""

    def __init__(self, path, change=lambda reply: reply):
        self._change = change
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(path)
        self.replies = []

    def __call__(self, request, _earlier):
        self._socket.send(request)
        self.replies.append(self._socket.recv(1 << 20))
        return [self._change(self.replies[-1])]

    def close(self):
        self._socket.close()

# SPDX-License-Identifier: Apache-2.0
"""Mounts that only this process sees and those that it starts afterwards: nothing is left of them
when all of those have ended. Where they are not allowed, the test is skipped."""
import ctypes
import os
import unittest

MS_NOSUID, MS_NODEV = 2, 4
MNT_FORCE, MNT_DETACH = 1, 2
_CLONE_NEWNS = 0x00020000
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_libc = ctypes.CDLL(None, use_errno=True)


def _call(result, what):
    if result != 0:
        raise unittest.SkipTest(f'{what}: {os.strerror(ctypes.get_errno())}')


def take_own_mounts():
    _call(_libc.unshare(_CLONE_NEWNS), 'a mount namespace of our own')
    _call(_libc.mount(b'none', b'/', None, _MS_REC | _MS_PRIVATE, None), 'mounts of our own')


def mount(kind, path, flags, options):
    _call(_libc.mount(b'none', path.encode(), kind.encode(), flags, options.encode()), f'{kind} at {path}')


def bind(source, path):
    """`path` shows what `source` is."""
    _call(_libc.mount(source.encode(), path.encode(), None, _MS_BIND, None), f'{source} at {path}')


def unmount(path, flags=0):
    _libc.umount2(path.encode(), flags)

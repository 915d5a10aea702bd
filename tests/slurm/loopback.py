# SPDX-License-Identifier: Apache-2.0
"""Names and ports that keep a private cluster on the loopback."""
import random
import socket

from processes import take_own_host_name


def _resolves_to_loopback(name):
    try:
        found = socket.getaddrinfo(name, None, socket.AF_INET)
    except OSError:
        return False
    return all(address[0].startswith('127.') for *_, address in found)


def take_loopback_name():
    """With NoInAddrAny slurmctld listens where this machine's name leads, and srun is called back
    there. Where that is not the loopback, this process and its children take the name localhost,
    in a UTS namespace of their own. Returns whether the name leads to the loopback."""
    if not _resolves_to_loopback(socket.gethostname()) and _resolves_to_loopback('localhost'):
        take_own_host_name('localhost')
    return _resolves_to_loopback(socket.gethostname())


def free_port():
    """A port of the loopback that nobody has now. Below the range the kernel gives out by itself:
    a client's outgoing connection cannot take it before our daemon binds it."""
    while True:
        port = random.SystemRandom().randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port

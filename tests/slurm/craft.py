# SPDX-License-Identifier: Apache-2.0
"""Replies made by hand: well-formed for the protocol, with whatever a test wants in them."""
import json
import os
import struct
import subprocess
import tempfile

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'ipc', 'wire.fbs')
_ID = 0x5a17c0de5a17c0de  # stands for the request's id until that is known


def id_of(message):
    """The id of a size-prefixed Envelope: its second field. Source: FlatBuffers' binary format."""
    table = 4 + struct.unpack_from('<I', message, 4)[0]
    vtable = table - struct.unpack_from('<i', message, table)[0]
    offset, = struct.unpack_from('<H', message, vtable + 4 + 2 * 1)
    return struct.unpack_from('<Q', message, table + offset)[0] if offset else 0


def decide_reply(edits, deadline_us=100000):
    """A function of the request that gives the reply: an Impostor's answer."""
    envelope = {'version': 1, 'id': _ID, 'body_type': 'DecideReply',
                'body': {'edits': edits, 'deadline_us': deadline_us}}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'reply.json')
        with open(path, 'w', encoding='utf-8') as out:
            json.dump(envelope, out)
        subprocess.run(['flatc', '--binary', '--size-prefixed', '-o', folder, SCHEMA, path], check=True, timeout=60,
                       capture_output=True)
        with open(os.path.join(folder, 'reply.bin'), 'rb') as built:
            template = built.read()
    assert template.count(struct.pack('<Q', _ID)) == 1
    return lambda request, _earlier: [
        template.replace(struct.pack('<Q', _ID), struct.pack('<Q', id_of(request)))]

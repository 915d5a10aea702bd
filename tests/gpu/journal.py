# SPDX-License-Identifier: Apache-2.0
"""The file of results: a JSON object a line, only ever appended to, by one program at a time."""
import fcntl
import json
import platform
import re


class Refused(Exception):
    """The file cannot be carried on; the text says why."""


class Journal:
    """What has been measured: `done` holds the keys, `records` what was there at the beginning."""

    def __init__(self, path):
        self._path = path
        self._file = open(path, 'a+b')
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.records = self._read()
        except BlockingIOError:
            self._file.close()
            raise Refused(f'{path}: another run is writing to it') from None
        except Refused:
            self._file.close()
            raise
        self.done = {record['key'] for record in self.records if 'key' in record}
        self.run = sum(record.get('kind') == 'machine' for record in self.records)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def _read(self):
        """Every line; a last one without its end was being written when the run was killed."""
        self._file.seek(0)
        text = self._file.read()
        whole = text.rfind(b'\n') + 1
        if whole < len(text):
            self._file.truncate(whole)
        records = []
        for number, line in enumerate(text[:whole].split(b'\n')[:-1], 1):
            try:
                record = json.loads(line)
            except ValueError:
                record = None
            if not isinstance(record, dict):
                raise Refused(f'{self._path}:{number}: not a JSON object')
            records.append(record)
        return records

    def begin(self, machine):
        """A run's first line. One file is of one card: figures of two would not be told apart."""
        for record in self.records:
            if record.get('kind') == 'machine' and record['card'] != machine['card']:
                raise Refused(f"{self._path} holds measurements of {record['card']}, and this is "
                              f"{machine['card']}: choose another file")
        self.run += 1
        self.append(machine)

    def append(self, record):
        if 'error' in record:
            record = {**record, 'error': scrubbed(record['error'])}
        self._file.write(json.dumps({**record, 'run': self.run}).encode() + b'\n')
        self._file.flush()
        self.done.add(record.get('key'))


def scrubbed(text):
    """Without this machine's folders and name."""
    text = re.sub(r'(?:/[\w.+-]+)+/', '', text)
    return text.replace(platform.node(), 'host') if platform.node() else text

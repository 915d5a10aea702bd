# SPDX-License-Identifier: Apache-2.0
"""Our benchmark and PyTorch's: which rows are asked for, and what came of them."""
import json
import os
import tempfile
import time

import child
import energy
import gpu_rows as rows_of
import nvml

HIDDEN = ('512,256,128', '1024,512,256')
BATCHES = (1, 8, 64, 512, 4096, 16384)
# Single requests, each backend in a run of its own: a kernel that stays takes multiprocessors from
# others, and the card's power is watched.
SINGLY = {'int8-cuda': 'launches', 'int8-cuda-persistent': 'persistent',
          'bf16-cuda-persistent': None}
SINGLY_ROW_S, SINGLY_S = 2, 30
POWER_WINDOW_S = 1
LOOK_BATCHES = (1, 64)      # at which the fastest of the CPU is looked for
LOOK_SHARE = 0.2            # of the time
ROW_S, LEAST_ROW_S = 0.3, 0.02
ROWS_SHARE = 0.5            # of the time; the rest is for weights, warming up and single long calls
FASTEST = 3                 # backends of the CPU at each of these
PEERS = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'peers.py')
PEERS_S = 240
PEERS_START_S = 12          # loading PyTorch and ending it are not in the time that it is given
NO_TORCH = 4                # its exit code
CRASHES_MOST = 6


class Bench:
    """`auspex bench`: first a quick look at every backend, then the ones that count."""

    def __init__(self, program, left_s, environment, results):
        self._program, self._left_s, self._environment = program, left_s, environment
        self._rows, self._power_w = results['rows'], results['power_w']

    def run(self):
        seconds = 0
        look = self._ask(HIDDEN[:1], LOOK_BATCHES, [], LOOK_SHARE * self._left_s(),
                         '--trials', '200', '--row-seconds', '0.02', '--input', 'gather')
        seconds += look.seconds
        backends = chosen(look.rows)
        failures = [] if look.status == 'ok' else [f'the first look: {look.reason}']
        for number, hidden in enumerate(HIDDEN):
            if not backends:
                break
            share_s = self._left_s() / (len(HIDDEN) - number)
            done = self._ask([hidden], BATCHES, backends, share_s, '--row-seconds',
                             f'{row_seconds(look.rows, backends, share_s):.3f}')
            seconds += done.seconds
            self._rows += done.rows
            if done.status != 'ok':
                failures.append(f'{hidden}: {done.reason}')
            if 'cuda' in backends:
                seconds += self._singly(hidden, failures)
        if not failures and not any(row['backend'] == 'cuda' for row in self._rows):
            failures.append('no row is of the CUDA backend')
        step = {'status': 'failed' if failures else 'ok', 'seconds': round(seconds, 1)}
        if failures:
            step['reason'] = '; '.join(failures)
        return step

    def _singly(self, hidden, failures):
        """Rows of kernels that stay, and what the card draws; returns the seconds."""
        started_s = time.monotonic()
        with energy.Watch(nvml.Card()) as watch:
            time.sleep(POWER_WINDOW_S + 0.2)
        self._power_w.setdefault('idle', watch.highest_power_w(POWER_WINDOW_S))
        for backend, name in SINGLY.items():
            with energy.Watch(nvml.Card()) as watch:
                done = self._ask([hidden], (1,), [backend], min(SINGLY_S, self._left_s()),
                                 '--input', 'gather', '--trials', '10000000',
                                 '--row-seconds', str(SINGLY_ROW_S))
            if done.status != 'ok':
                failures.append(f'{hidden}, {backend}: {done.reason}')
            self._rows += [row for row in done.rows if row['backend'] != 'cuda']
            if name:
                self._power_w.setdefault(name, watch.highest_power_w(POWER_WINDOW_S))
        return time.monotonic() - started_s

    def _ask(self, networks, batches, backends, limit_s, *more):
        command = [self._program, 'bench', '--json', '--no-peers', '--cache', 'warm', *more]
        for name, values in (('--hidden', networks), ('--batch', batches),
                             ('--backend', backends)):
            for value in values:
                command += [name, str(value)]
        ended = child.run(command, limit_s, self._environment)
        ended.rows = []
        if ended.status == 'ok':
            try:
                ended.rows = folded(json.loads(ended.out)['rows'])
            except (ValueError, KeyError, TypeError):
                ended.status, ended.reason = 'failed', 'it printed no rows'
        elif ended.status == 'failed' and ended.errors.strip():
            ended.reason += f' ({child.tail(ended.errors)[-300:]})'
        return ended


def folded(rows):
    """What the card's own clock says of a call becomes a field of its row, as PyTorch's have it."""
    def key(row):
        return tuple(row[field] for field in ('technique', 'precision', 'sparsity', 'input',
                                              'hidden', 'cache', 'batch'))
    by_card = {key(row): row for row in rows if row['backend'] == 'cuda-kernel'}
    for row in rows:
        if row['backend'] == 'cuda' and key(row) in by_card:
            row['device_median_us'] = by_card[key(row)]['median_us']
    return [row for row in rows if row['backend'] != 'cuda-kernel']


def row_seconds(rows, backends, share_s):
    """What a row may take so that all fit; a backend of the CPU has a row that skips, too."""
    cuda = sum(row['backend'] == 'cuda' for row in rows) / len(LOOK_BATCHES)
    # On the card gathered and dense inputs, each by both clocks, and in place; on the CPU dense ones
    # once.
    expected = len(BATCHES) * (5 * cuda + 3 * len(backends))
    return min(ROW_S, max(LEAST_ROW_S, ROWS_SHARE * share_s / expected))


def chosen(rows):
    """Backends by the names that --backend takes: CUDA, and the fastest of the CPU."""
    cuda = ['cuda'] if any(row['backend'] == 'cuda' for row in rows) else []
    fastest = []
    for batch in LOOK_BATCHES:
        own = sorted((row for row in rows if row['batch'] == batch
                      and not rows_of.on_gpu(row) and row['backend'] != 'reference'),
                     key=lambda row: row['median_us'])
        names = list(dict.fromkeys(map(name_of, own)))
        fastest += [name for name in names[:FASTEST] if name not in fastest]
    return cuda + fastest


def name_of(row):
    sparsity = '-2:4' if row['sparsity'] == '2:4' else ''
    return f"{row['precision']}{sparsity}-{row['backend']}"


def peers(python, more, left_s, results):
    """PyTorch's rows; each is kept from the moment that it was written.

    A kernel that crashes takes its process along: another one goes on after it, as often as needed.
    """
    seconds, first, crashes = 0, 0, 0
    over_s = min(PEERS_S, left_s() - PEERS_START_S)
    while True:
        for_it_s = max(1, over_s - seconds)
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'peers.jsonl')
            ended = child.run([python, PEERS, '--out', out, '--seconds', f'{for_it_s:.0f}',
                               '--first', str(first), *more],
                              min(left_s(), for_it_s + PEERS_START_S))
            at = _kept(read(out), results)
        seconds += ended.seconds
        crashed = ended.status == 'failed' and ended.code != NO_TORCH
        if not crashed or at is None:
            break
        crashes += 1
        lost = {key: value for key, value in at.items() if key not in ('kind', 'number')}
        results['rows_without_time'].append({**lost, 'error': f'its process: {ended.reason}'})
        first = at['number'] + 1
        if crashes == CRASHES_MOST or over_s - seconds < PEERS_START_S:
            break
    return _peers_step(ended, crashes, seconds, results)


def _kept(records, results):
    """Each record where it belongs; returns what was begun last."""
    at = None
    for record in records:
        kind = record.pop('kind', None)
        if kind == 'begun':
            at = record
        elif kind == 'machine':
            results['peers'] = record
        elif kind == 'ceiling':
            results['ceilings'][record.pop('name')] = record
        elif kind == 'row':
            results['rows' if 'median_us' in record else 'rows_without_time'].append(record)
    return at


def _peers_step(ended, crashes, seconds, results):
    step = {**ended.record(), 'seconds': round(seconds, 1)}
    if ended.code == NO_TORCH:
        step.update(status='skipped', reason=child.tail(ended.errors).removeprefix('peers: '))
    elif ended.status == 'failed':
        step['reason'] += f' ({child.tail(ended.errors)[-300:]})'
    elif results['peers'] is None and ended.status == 'ok':
        step.update(status='failed', reason='it wrote nothing')
    elif crashes and ended.status == 'ok':
        step['reason'] = f'{crashes} of its processes were lost; others went on'
    return step


def read(path):
    """Whole lines; the last one may have been cut."""
    try:
        with open(path, encoding='utf-8') as file:
            lines = file.read().split('\n')
    except OSError:
        return
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield record

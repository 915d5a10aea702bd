# SPDX-License-Identifier: Apache-2.0
"""What tests/gpu/collect has measured, and what `auspex graph` says of the same configurations."""
import concurrent.futures
import glob
import json
import lzma
import os
import subprocess
import sys
import tempfile

MIB = 1 << 20
MODES = {'inference': 'inference', 'graph': 'graph', 'train': 'training'}
FORMATS = {'fp32': 'fp32', 'tf32': 'tf32', 'bf16': 'half'}
OPTIMIZERS = {'sgd': 'momentum', 'adam': 'adam', None: 'adam'}  # collect's sgd has a momentum


def add_options(parser):
    parser.add_argument('--measured', required=True, help='results of tests/gpu/collect')
    parser.add_argument('--graphs', required=True, help='as export_models --measured writes them')
    parser.add_argument('--gpu', required=True, help='that card, as auspex graph calls it')
    parser.add_argument('--auspex-graph', default='auspex-graph')


def pairs_of(options, *more):
    """[(record, answer)] of all that both know. more: further options of auspex graph."""
    with lzma.open(options.measured, 'rt') as file:
        rows = [json.loads(line) for line in file]
    rows = [row for row in rows if row['kind'] == 'model' and row['status'] == 'ok']
    with tempfile.TemporaryDirectory() as folder:
        paths = _unpacked(options.graphs, folder)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda row: _ask(options, paths, row, more), rows))
    return [pair for pair in zip(rows, answers) if pair[1]]


def _unpacked(folder, into):
    """Graph files by name, without xz."""
    paths = {os.path.basename(path): path for path in glob.glob(os.path.join(folder, '*.onnx'))}
    for path in glob.glob(os.path.join(folder, '*.onnx.xz')):
        name = os.path.basename(path).removesuffix('.xz')
        paths[name] = os.path.join(into, name)
        with lzma.open(path) as file, open(paths[name], 'wb') as out:
            out.write(file.read())
    return paths


def _ask(options, paths, row, more):
    name = row['model'].replace(':', '-') + '@' + 'x'.join(map(str, row['input'])) + '.onnx'
    if name not in paths:
        print(f'{row["key"]}: no {name}', file=sys.stderr)
        return None
    layout = ['--channels-last'] if row['memory_format'] == 'channels_last' else []
    ran = subprocess.run(
        [options.auspex_graph, 'graph', paths[name], '--json', '--gpu', options.gpu, '--batch',
         str(row['batch']), '--mode', MODES[row['mode']], '--format', FORMATS[row['precision']],
         '--optimizer', OPTIMIZERS[row['optimizer']], '--context-mib', '0', *layout, *more],
        capture_output=True, text=True, check=False)
    if ran.returncode:
        print(f'{row["key"]}: {ran.stderr.strip()}', file=sys.stderr)
        return None
    return json.loads(ran.stdout)


def context_mib(row):
    """What the process has beside the tensors."""
    memory = row['memory']
    return (memory['nvml_process_after_bytes'] - memory['reserved_after_bytes']) / MIB


def allocated_mib(row):
    return row['memory']['peak_allocated_bytes'] / MIB


def reserved_mib(row):
    return row['memory']['peak_reserved_bytes'] / MIB


def latency_s(row):
    """The median of the runs that were waited for."""
    return row['latency']['event_ms']['median'] / 1000


def energy_j(row):
    return row['energy']['per_run_j']

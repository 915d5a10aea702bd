#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon under load: 2,000 decisions a second while as many jobs end, then a million as fast as
it answers. Prints what the daemon took for a decision, the round trip, and its memory.

    tests/bench/load.py [--rate 2000] [--seconds 60] [--million 1000000]
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, '..', '..')
sys.path.insert(0, os.path.join(HERE, '..', 'slurm'))

from processes import wait_until  # noqa: E402

BUILD = os.environ.get('AUSPEX_BUILD_DIR') or f'{SOURCE}/build/release'


def program(name):
    return f'{BUILD}/bin/{name}'


def rss_mib(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmRSS'))


def status(config):
    said = subprocess.run([program('auspex'), 'status', '--json', '--config', config],
                          capture_output=True, check=True, timeout=60).stdout
    return json.loads(said)


def load(socket, count, rate):
    said = subprocess.run([program('load_daemon'), '--socket', socket, '--count', str(count),
                           '--rate', str(rate)], capture_output=True, check=False, timeout=3600)
    return json.loads(said.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rate', type=int, default=2000)
    parser.add_argument('--seconds', type=int, default=60)
    parser.add_argument('--million', type=int, default=1_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='auspex-load-') as folder:
        history, model = f'{folder}/history.sacct', f'{folder}/runtime.auspex'
        subprocess.run([sys.executable, f'{SOURCE}/packaging/demo/make_history.py', '--jobs', '20000',
                        '--out', history], check=True, timeout=300)
        subprocess.run([program('auspex'), 'train', '--jobs', history, '--format', 'sacct', '--out',
                        model], check=True, timeout=900, capture_output=True)
        config = f'{folder}/auspex.yaml'
        with open(config, 'w', encoding='utf-8') as out:
            out.write(f'socket: {folder}/s\nmodel: {model}\nmode: hard\nslurm_user: root\n'
                      f'history: {{state: {folder}/history}}\nledger: {{path: {folder}/ledger.db}}\n')
        with open(f'{folder}/log', 'wb') as log, subprocess.Popen(
                [program('auspexd'), '--config', config], stderr=log) as daemon:
            try:
                wait_until(lambda: subprocess.run([program('auspex'), 'status', '--config', config],
                                                  timeout=60, capture_output=True,
                                                  check=False).returncode == 0, 30, 'the daemon')
                subprocess.run([program('auspex'), 'feed', '--config', config, '--jobs', history,
                                '--format', 'sacct'], check=True, timeout=900, capture_output=True)
                load(f'{folder}/s', 10_000, options.rate)  # what is touched first costs more
                steady = load(f'{folder}/s', options.rate * options.seconds, options.rate)
                known = status(config)
                print(f'{steady["per_second"]:.0f} decisions/s for {steady["seconds"]:.0f} s, '
                      f'{steady["failed"]} failed: in the daemon p50 {known["handling_us"]["p50"]} us, '
                      f'p99 {known["handling_us"]["p99"]} us; round trip p50 '
                      f'{steady["round_trip_us"]["p50"]:.0f} us, p99 '
                      f'{steady["round_trip_us"]["p99"]:.0f} us')
                for _ in range(4):
                    before = rss_mib(daemon.pid)
                    fast = load(f'{folder}/s', options.million // 4, 0)
                    print(f'{fast["sent"]} decisions at {fast["per_second"]:.0f}/s: memory '
                          f'{before:.0f} -> {rss_mib(daemon.pid):.0f} MiB; ledger '
                          f'{os.path.getsize(f"{folder}/ledger.db") / 2**20:.0f} MiB, '
                          f'lost {status(config)["ledger"]["lost"]}')
            finally:
                daemon.terminate()


if __name__ == '__main__':
    main()

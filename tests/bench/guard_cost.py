#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What following costs: processor time of slurmctld, auspexd and auspex-guard with many jobs in the
queue, with the guard and without it, on a private cluster.

    tests/bench/guard_cost.py [--jobs 10000] [--seconds 60]

All jobs are pending and guarded. Every two seconds one is changed, so that no look is spared
because nothing has changed.
"""
import argparse
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'slurm'))

from auspexd import Daemon, plugin, program  # noqa: E402
from cluster import Cluster  # noqa: E402
from processes import wait_until  # noqa: E402

TICKS = os.sysconf('SC_CLK_TCK')


def cpu_s(pid):
    with open(f'/proc/{pid}/stat', 'rb') as stat:
        fields = stat.read().rpartition(b')')[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid):
    with open(f'/proc/{pid}/status', encoding='utf-8') as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith('VmRSS'))


def used(pids, seconds, disturb):
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        disturb()
        time.sleep(2)
    return {name: (cpu_s(pid) - before[name]) / seconds for name, pid in pids.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--jobs', type=int, default=10_000)
    parser.add_argument('--seconds', type=int, default=60)
    options = parser.parse_args()
    conf = f'MaxJobCount={options.jobs + 1000}\n'
    with Cluster(plugin=plugin(), conf=conf) as cluster:
        model = f'{cluster.base}/constant.auspex'
        subprocess.run([program('write_constant_model'), model, '100'], check=True, timeout=60)
        with Daemon(cluster, model=model, mode='guarded') as daemon:
            wait_until(lambda: daemon.status()['guard']['stands'], 60, 'the guard to stand')
            done = subprocess.run(
                [program('submit_jobs'), '--count', str(options.jobs), '--threads', '2', '--held',
                 '--time', '1440'], capture_output=True, env=cluster.environment, check=True,
                timeout=1800)
            print(f'{options.jobs} jobs submitted')
            wait_until(lambda: daemon.status()['guard']['jobs'] >= options.jobs, 300,
                       'the guard to see them')
            first = int(done.stdout.split(b'"ids":[')[1].split(b',')[0])
            state = {'limit': 1000}

            def disturb():
                state['limit'] += 1
                cluster.client('scontrol', 'update', f'JobId={first}', f'TimeLimit={state["limit"]}')

            guard = int(cluster.client('pgrep', '-P', str(daemon.pid), '-x', 'auspex-guard').stdout)
            pids = {'slurmctld': cluster.slurmctld_pid, 'auspexd': daemon.pid, 'auspex-guard': guard}
            followed = used(pids, options.seconds, disturb)
            said = daemon.status()['guard']
            print(f'a look at all jobs takes {said["sweep_ms"]:.0f} ms; {said["guarded"]} guarded; '
                  f'memory of the guard {rss_mib(guard):.0f} MiB')
        alone = used({'slurmctld': cluster.slurmctld_pid}, options.seconds, disturb)
        for name, share in followed.items():
            without = f', without {100 * alone[name]:.2f} %' if name in alone else ''
            print(f'{name}: {100 * share:.2f} % of a core{without}')


if __name__ == '__main__':
    main()

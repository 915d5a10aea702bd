#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the plugin costs slurmctld: submissions per second, with and without, in one run.

Three private clusters side by side: one without the plugin, one with plugin and daemon, one with
the plugin and no daemon. Rounds are interleaved and each round's order is shuffled; figures are the
medians of the rounds' ratios. In-plugin times come from the plugin itself, through the daemon.
"""
import argparse
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'slurm'))

from auspexd import Daemon, plugin, program  # noqa: E402
from cluster import Cluster  # noqa: E402


def submit(cluster, count, threads):
    """Submissions per second of `count` held jobs through Slurm's C API."""
    command = [program('submit_jobs'), '--count', str(count), '--threads', str(threads), '--held',
               '--time', '1440', '--name', 'bench']
    done = subprocess.run(command, env=cluster.environment, capture_output=True, timeout=300,
                          check=True)
    result = json.loads(done.stdout)
    if result['failed']:
        raise RuntimeError(f'{result["failed"]} submissions failed: {result["first_error"]}')
    return count / result['seconds']


def measure(clusters, options):
    rates = {name: [] for name in clusters}
    for number in range(options.rounds + 1):
        order = list(clusters)
        random.shuffle(order)
        for name in order:
            rate = submit(clusters[name], options.count, options.threads)
            if number > 0:  # the first round warms up
                rates[name].append(rate)
        if sys.stderr.isatty():
            print(f'\rround {number} of {options.rounds}', end='', file=sys.stderr, flush=True)
    return rates


def ratio(rates, name):
    pairs = zip(rates[name], rates['without plugin'])
    return statistics.median(one / other for one, other in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--rounds', type=int, default=25)
    parser.add_argument('--count', type=int, default=100, help='submissions per round and cluster')
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--json', action='store_true')
    options = parser.parse_args()

    with contextlib.ExitStack() as stack:
        clusters = {'without plugin': stack.enter_context(Cluster()),
                    'with plugin and daemon': stack.enter_context(Cluster(plugin())),
                    'with plugin, daemon stopped': stack.enter_context(Cluster(plugin()))}
        served = clusters['with plugin and daemon']
        model = f'{served.base}/constant.auspex'
        subprocess.run([program('write_constant_model'), model, '100'], check=True, timeout=60)
        daemon = stack.enter_context(Daemon(served, model=model, mode='guarded', deadline_us=2000))
        rates = measure(clusters, options)
        status = json.loads(daemon.auspex('status', '--json').stdout)

    result = {'rounds': options.rounds, 'count': options.count, 'threads': options.threads,
              'submits_per_s': {name: statistics.median(values) for name, values in rates.items()},
              'ratio_with_daemon': ratio(rates, 'with plugin and daemon'),
              'ratio_daemon_stopped': ratio(rates, 'with plugin, daemon stopped'),
              'plugin_call_us': status['plugin_call_us'], 'fallbacks': status['fallbacks'],
              'decisions_changed': status['decisions']['changed']}
    if options.json:
        print(json.dumps(result))
        return
    for name, value in result['submits_per_s'].items():
        print(f'{name:30} {value:8.0f} submits/s')
    print(f'{"ratio with daemon":30} {result["ratio_with_daemon"]:8.3f}   (goal: 0.97 or more)')
    print(f'{"ratio daemon stopped":30} {result["ratio_daemon_stopped"]:8.3f}   (goal: 0.99 or more)')
    call = result['plugin_call_us']
    print(f'{"in-plugin p50 / p99":30} {call["p50"]:5} / {call["p99"]} us over {call["calls"]} calls'
          '   (goal: under 100 / 500)')
    print(f'{"fallbacks":30} {json.dumps(result["fallbacks"])}')


if __name__ == '__main__':
    main()

# SPDX-License-Identifier: Apache-2.0
"""The steps of a run, in order; what each found is on the disk before the next one begins."""
import datetime
import json
import os
import sys
import time

import child
import gpu_bench
import gpu_figure
import gpu_report
import gpu_tests

STEPS = ('build', 'tests', 'sanitizer', 'bench', 'peers')
# The share of the time after which each step has to be over: what one leaves is the next one's.
# Tests go at the same time as those under compute-sanitizer.
OVER_AT = {'tests': 0.22, 'bench': 0.52, 'peers': 0.96}
BUILD_S = 3600
CARD_S = 20
ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
CARD = ('name', 'driver_version', 'memory.total', 'power.limit', 'clocks.max.sm',
        'clocks.max.memory', 'mig.mode.current')


class Session:
    def __init__(self, wish):
        self._wish = wish
        self._build = os.path.abspath(wish.build or os.path.join(ROOT, 'build', 'release'))
        self._started_s = time.monotonic()
        now = datetime.datetime.now(datetime.timezone.utc)
        self.results = {'date': now.strftime('%Y-%m-%d'), 'minutes': wish.minutes, 'card': None,
                        'processor': processor(), 'steps': {}, 'tests': None, 'sanitizer': {},
                        'peers': None, 'ceilings': {}, 'power_w': {}, 'rows': [],
                        'rows_without_time': []}

    def through(self):
        self.results['card'] = card()
        for names, do in ((('build',), self._make), (('tests', 'sanitizer'), self._checks),
                          (('bench',), self._bench), (('peers',), self._peers)):
            wanted = [name for name in names if self._is_wanted(name)]
            if not wanted:
                continue
            say(f"{' and '.join(wanted)} ...")
            for name in wanted:
                self._note(name, {'status': 'failed', 'seconds': 0, 'reason': 'stopped in it'})
            for name, step in zip(wanted, do(*wanted)):
                self._note(name, step)
            if 'build' in wanted:  # which may take as long as it takes
                self._started_s = time.monotonic()

    def _is_wanted(self, name):
        given = name == 'build' and self._wish.build
        if name in self._wish.skip or given:
            reason = 'as asked' if name in self._wish.skip else 'a build was given'
            self._note(name, {'status': 'skipped', 'seconds': 0, 'reason': reason})
            return False
        return True

    def stopped(self):
        for name in STEPS:
            self.results['steps'].setdefault(
                name, {'status': 'failed', 'seconds': 0, 'reason': 'stopped before it'})

    def finish(self):
        """Writes all that there is; returns the exit code."""
        self._write('results.json', json.dumps(self.results, indent=1) + '\n')
        self._write('report.md', gpu_report.report(self.results))
        self._write('figure.svg', gpu_figure.figure(self.results))
        statuses = [step['status'] for step in self.results['steps'].values()]
        good = all(status in ('ok', 'skipped') for status in statuses)
        say(f"{'all ran' if good else 'something failed'}; see "
            f"{os.path.join(self._wish.out, 'report.md')}")
        return 0 if good else 1

    def _note(self, name, step):
        self.results['steps'][name] = step
        self._write('results.json', json.dumps(self.results, indent=1) + '\n')
        if step.get('reason') != 'stopped in it':
            reason = f": {step['reason']}" if step.get('reason') else ''
            say(f"{name}: {step['status']}{reason} ({step['seconds']:.0f} s)")

    def _write(self, name, text):
        path = os.path.join(self._wish.out, name)
        with open(path + '.new', 'w', encoding='utf-8') as file:
            file.write(text)
        os.replace(path + '.new', path)

    def _left_s(self, name):
        over_s = self._started_s + 60 * self._wish.minutes * OVER_AT[name]
        return max(0, over_s - time.monotonic())

    def _make(self, _):
        made = child.run(['make', '-C', ROOT, 'build'], BUILD_S)
        if made.status != 'ok':
            print(child.tail(made.out + made.errors), file=sys.stderr)
        return [made.record()]

    def _program(self, name):
        return os.path.join(self._build, 'bin', name)

    def _environment(self):
        """For programs of the build alone: others must not meet its libraries."""
        environment = dict(os.environ)
        carried = os.path.join(self._build, 'deps')
        if os.path.isdir(carried):
            before = environment.get('LD_LIBRARY_PATH')
            environment['LD_LIBRARY_PATH'] = carried + (f':{before}' if before else '')
        return environment

    def _checks(self, *names):
        wanted = {'tests': f'-{gpu_tests.ELSEWHERE}' if 'tests' in names else None,
                  'sanitizer': (self._wish.sanitizer_filter or gpu_tests.SMALL
                                if 'sanitizer' in names else None)}
        found = gpu_tests.check(self._program('cuda_device_test'), self._build, wanted,
                                self._left_s('tests'), self._environment())
        self.results['tests'] = found.get('tests')
        self.results['sanitizer'] = found['tools']
        return [{key: found[name][key] for key in ('status', 'seconds', 'reason')
                 if key in found[name]} for name in names]

    def _bench(self, _):
        bench = gpu_bench.Bench(self._program('auspex'), lambda: self._left_s('bench'),
                                self._environment(), self.results)
        return [bench.run()]

    def _peers(self, _):
        return [gpu_bench.peers(self._wish.python, self._wish.peers,
                                lambda: self._left_s('peers'), self.results)]


def say(text):
    print(f'run: {text}', file=sys.stderr, flush=True)


def card():
    """What the driver says of the card that CUDA takes first; None where there is none."""
    first = os.environ.get('CUDA_VISIBLE_DEVICES', '0').split(',')[0].strip() or '0'
    told = child.run(['nvidia-smi', '--query-gpu=' + ','.join(CARD), '--format=csv,noheader',
                      '--id=' + first], CARD_S)
    fields = [field.strip() for field in told.out.strip().split('\n')[0].split(',')]
    if told.status != 'ok' or len(fields) != len(CARD):
        return None
    return dict(zip(CARD, fields))


def processor():
    try:
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            names = [line.split(':', 1)[1].strip() for line in file
                     if line.startswith('model name')]
    except OSError:
        return None
    return {'name': names[0], 'threads': len(names)} if names else None

# SPDX-License-Identifier: Apache-2.0
"""Second look: jobs that were submitted before the first of their kind ended are decided again."""
import os
import re
import subprocess
import sys
import unittest

from auspexd import program
from case import SlurmCase
from processes import wait_until

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
PER_MINUTE = 120
PARTITIONS = 'PartitionName=cpu Nodes=n1 Default=YES MaxTime=7-0 DefaultTime=1:00:00 State=UP\n'


class Burst(SlurmCase):
    cluster_options = {'cpus': 2, 'nodes': 1, 'priority': 'multifactor', 'partitions': PARTITIONS}

    def train(self):
        base = self.cluster.base
        history, model = f'{base}/history.sacct', f'{base}/trained.auspex'
        subprocess.run([sys.executable, f'{SOURCE}/packaging/demo/make_history.py', '--jobs', '20000',
                        '--workdir', f'{base}/work', '--out', history], check=True, timeout=120)
        subprocess.run([program('auspex'), 'train', '--jobs', history, '--format', 'sacct',
                        '--out', model], check=True, timeout=600, capture_output=True,
                       stdin=subprocess.DEVNULL)
        return history, model

    def calls(self, name):
        said = self.cluster.client('sdiag').stdout
        found = re.search(rf'{name}\s*\(\s*\d+\)\s*count:(\d+)', said)
        return int(found[1]) if found else 0

    def submit_burst(self, name):
        return [self.cluster.sbatch('-A', 'demo', '-p', 'cpu', '-J', name, '-n', '1', '-t', '1-0',
                                    wrap='sleep 6').job_id for _ in range(20)]

    def test_what_the_first_ones_did_is_known_to_the_last(self):
        history, model = self.train()
        settings = {'model': model, 'mode': 'guarded', 'guard': {'interval_s': 2},
                    'order': {'weight': 10000}, 'second_look': {'mode': 'on', 'per_minute': PER_MINUTE}}
        with self.daemon(**settings) as daemon:
            wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the guard to stand')
            daemon.auspex('feed', '--jobs', history, '--format', 'sacct')
            ids = self.submit_burst('burst')
            before = self.cluster.jobs()
            held, touched, last = ids[-3:]
            self.cluster.client('scontrol', 'hold', str(held))
            self.cluster.client('scontrol', 'update', f'JobId={touched}', 'TimeLimit=1000')
            first = before[last]['time_limit']
            updates = self.calls('REQUEST_UPDATE_JOB')

            wait_until(lambda: self.cluster.limit_min(last) < first, 120, 'the last one\'s look')
            after = self.cluster.jobs()
            looked = len(re.findall('second look: limit', daemon.log()))
            self.assertEqual(after[last]['job_state'], 'PENDING')
            self.assertGreater(after[last]['priority'], before[last]['priority'])
            self.assertRegex(after[last]['admin_comment'], r' why=second-look .*looks=\d '
                             rf'first={first}')
            self.assertEqual(after[held]['time_limit'], before[held]['time_limit'])
            self.assertEqual(after[touched]['time_limit'], 1000)
            self.assertLessEqual(self.calls('REQUEST_UPDATE_JOB') - updates, looked + 1)
            self.assert_under_the_cap(daemon.log())
            wait_until(lambda: daemon.explain(last)['changes'], 30, 'the ledger to know it')
            change = daemon.explain(last)['changes'][-1]
            self.assertEqual((change['kind'], change['from_min']), ('second-look', first))
            self.assertEqual(change['to_min'], after[last]['time_limit'])

    def assert_under_the_cap(self, log):
        """Each change is two calls; in no minute are there more than the cap allows."""
        times = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s in
                 re.findall(r'T(\d+):(\d+):([\d.]+) info guard: job \d+: second look', log)]
        for start in times:
            within = sum(1 for time in times if start <= time < start + 60)
            self.assertLessEqual(2 * within, PER_MINUTE + 2)

    def test_observe_counts_and_changes_nothing(self):
        history, model = self.train()
        settings = {'model': model, 'mode': 'guarded', 'guard': {'interval_s': 2},
                    'second_look': {'mode': 'observe'}}
        with self.daemon(**settings) as daemon:
            wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the guard to stand')
            daemon.auspex('feed', '--jobs', history, '--format', 'sacct')
            ids = self.submit_burst('watched')
            before = self.cluster.jobs()
            wait_until(lambda: daemon.status()['second_looks']['observed'] > 0, 120, 'a look')
            after = self.cluster.jobs()
            for job in ids:
                self.assertEqual(after[job]['time_limit'], before[job]['time_limit'])
            self.assertEqual(daemon.status()['second_looks']['changed'], 0)

    def tearDown(self):
        self.cluster.cancel_all()


if __name__ == '__main__':
    unittest.main()

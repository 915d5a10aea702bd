# SPDX-License-Identifier: Apache-2.0
"""Fifty jobs outlive the limit that was predicted for them, while the daemon is killed again and
again: none is ended before the limit that its user asked for."""
import contextlib
import os
import random
import re
import time
import unittest

from case import QUICK, SlurmCase
from processes import wait_until

ASKED_MIN = 3
SECONDS = 60


class Guarded(SlurmCase):
    cluster_options = {'cpus': 64, 'memory_mib': 64000, 'accounting': True}

    def finished(self, job_ids):
        """What sacct tells of those that ended: dicts by column, by job id."""
        columns = ('JobIDRaw', 'State', 'ElapsedRaw', 'TimelimitRaw', 'AdminComment')
        said = self.cluster.client('sacct', '-X', '-n', '-P', '-a', '-o', ','.join(columns)).stdout
        rows = [dict(zip(columns, line.split('|'))) for line in said.splitlines()]
        return {int(row['JobIDRaw']): row for row in rows if int(row['JobIDRaw']) in job_ids
                and row['State'] in ('COMPLETED', 'TIMEOUT', 'FAILED', 'CANCELLED')}

    def assert_same_story(self, daemon, job_id, row):
        """auspex explain, from the ledger, and sacct, from what stands in Slurm."""
        story = daemon.explain(job_id)
        self.assertEqual(story['source'], 'ledger')
        self.assertEqual(story['time_limit_min'], {'asked': ASKED_MIN, 'applied': 1})
        self.assertEqual(story['runtime_s'], int(row['ElapsedRaw']))
        self.assertEqual(story['ending'], {'COMPLETED': 'done', 'TIMEOUT': 'at-limit'}[row['State']])
        audit = dict(re.findall(r'(\w+)=(\S+)', row['AdminComment']))
        self.assertEqual((audit['asked'], audit['applied']), (str(ASKED_MIN), '1'))
        self.assertEqual(audit['limit'], row['TimelimitRaw'])
        # The ledger is deleted half-way: it may have missed the first extension, never the last.
        steps = [change for change in story['changes'] if change['kind'] == 'extended']
        self.assertLessEqual(len(steps), int(audit['extended']))
        if steps:
            self.assertEqual(str(steps[-1]['to_min']), audit['limit'])

    @staticmethod
    def delete_ledger(daemon):
        for suffix in ('', '-wal', '-shm'):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(daemon.ledger + suffix)
        return True

    def test_nobody_is_killed_early(self):
        seed = random.randrange(1 << 30)
        print(f'seed {seed}')
        chance = random.Random(seed)
        with self.guarding(**QUICK) as daemon:
            # Half of them end by themselves, after their rewritten limit; the others never would.
            seconds = {}
            for number in range(50):
                sleep = chance.randint(75, 160) if number % 2 else 3600
                result = self.cluster.sbatch('-t', str(ASKED_MIN), '-n', '1', wrap=f'sleep {sleep}')
                seconds[result.job_id] = sleep
                self.assertEqual(self.cluster.limit_min(result.job_id), 1)
            deleted = False
            over = time.monotonic() + (ASKED_MIN + 2) * SECONDS
            while len(self.finished(seconds)) < len(seconds) and time.monotonic() < over:
                time.sleep(chance.uniform(2, 12))
                daemon.kill()
                time.sleep(chance.uniform(0, 2))
                daemon.start()
                if not deleted and time.monotonic() > over - (ASKED_MIN + 1) * SECONDS:
                    deleted = self.delete_ledger(daemon)
            wait_until(lambda: len(self.finished(seconds)) == len(seconds), 60, 'all jobs to end')
            rows = self.finished(seconds)
            wait_until(lambda: all(daemon.explain(job)['runtime_s'] for job in rows), 60,
                       'the ledger to know all ends')
            for job_id, row in rows.items():
                self.assert_same_story(daemon, job_id, row)
        for job_id, row in rows.items():
            with self.subTest(job=job_id, sleep=seconds[job_id], row=row):
                if seconds[job_id] < ASKED_MIN * SECONDS:
                    self.assertEqual(row['State'], 'COMPLETED')
                    self.assertGreaterEqual(int(row['ElapsedRaw']), seconds[job_id] - 1)
                else:
                    self.assertEqual(row['State'], 'TIMEOUT')
                    self.assertGreaterEqual(int(row['ElapsedRaw']), ASKED_MIN * SECONDS)


if __name__ == '__main__':
    unittest.main()

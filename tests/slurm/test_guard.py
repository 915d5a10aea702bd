# SPDX-License-Identifier: Apache-2.0
"""Fifty jobs outlive the limit that was predicted for them, while the daemon is killed again and
again: none is ended before the limit that its user asked for."""
import datetime
import random
import re
import time
import unittest

from case import QUICK, SlurmCase
from processes import wait_until

ASKED_MIN = 3
SECONDS = 60


class Guarded(SlurmCase):
    cluster_options = {'cpus': 64, 'memory_mib': 64000}

    def finished(self, job_ids):
        """The records of those that ended: dicts of jobcomp's words, by job id."""
        with open(f'{self.cluster.base}/log/jobcomp', encoding='utf-8') as log:
            rows = [dict(re.findall(r'(\w+)=(\S*)', line)) for line in log]
        return {int(row['JobId']): row for row in rows if int(row['JobId']) in job_ids}

    def ran_s(self, row):
        start, end = (datetime.datetime.fromisoformat(row[key]) for key in ('StartTime', 'EndTime'))
        return (end - start).total_seconds()

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
            over = time.monotonic() + (ASKED_MIN + 2) * SECONDS
            while len(self.finished(seconds)) < len(seconds) and time.monotonic() < over:
                time.sleep(chance.uniform(2, 12))
                daemon.kill()
                time.sleep(chance.uniform(0, 2))
                daemon.start()
            wait_until(lambda: len(self.finished(seconds)) == len(seconds), 60, 'all jobs to end')
        for job_id, row in self.finished(seconds).items():
            with self.subTest(job=job_id, sleep=seconds[job_id], row=row):
                if seconds[job_id] < ASKED_MIN * SECONDS:
                    self.assertEqual(row['JobState'], 'COMPLETED')
                    self.assertGreaterEqual(self.ran_s(row), seconds[job_id] - 1)
                else:
                    self.assertEqual(row['JobState'], 'TIMEOUT')
                    self.assertGreaterEqual(self.ran_s(row), ASKED_MIN * SECONDS)


if __name__ == '__main__':
    unittest.main()

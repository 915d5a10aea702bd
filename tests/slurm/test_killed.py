# SPDX-License-Identifier: Apache-2.0
"""auspexd dies in the middle of 1,000 submissions, twice: no job is lost, none is refused."""
import concurrent.futures
import json
import re
import subprocess
import unittest

from auspexd import program
from case import SlurmCase
from processes import wait_until

COUNT = 1000


class Killed(SlurmCase):
    def submit_all(self):
        """One batch through Slurm's API: far more jobs a second than sbatch could start."""
        done = subprocess.run(
            [program('submit_jobs'), '--count', str(COUNT), '--threads', '2', '--held',
             '--time', '1440', '--partition', 'cpu'], timeout=300, capture_output=True,
            env=self.cluster.environment, check=False)
        return json.loads(done.stdout)

    def submitted(self):
        said = self.cluster.client('sdiag').stdout
        return int(re.search(r'Jobs submitted:\s*(\d+)', said)[1])

    def test_none_is_lost_none_is_refused(self):
        pid = self.cluster.slurmctld_pid
        with self.deciding() as daemon:
            known = set(self.cluster.jobs())
            before = self.submitted()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                load = pool.submit(self.submit_all)
                wait_until(lambda: load.done() or self.submitted() - before >= COUNT // 10, 300,
                           'a tenth of the submissions')
                self.assertFalse(load.done(), 'the load was over before the kill')
                daemon.kill()
                daemon.start()
                wait_until(lambda: load.done() or self.submitted() - before >= COUNT // 2, 300,
                           'half of the submissions')
                daemon.kill()
                daemon.start()
                report = load.result()
            self.assertEqual((report['submitted'], report['failed']), (COUNT, 0))
            jobs = self.cluster.jobs()
            self.assertEqual(set(report['ids']), set(jobs) - known)
            # Each was either decided or left as it was: nothing in between.
            for job_id in report['ids']:
                job = jobs[job_id]
                decided = job['admin_comment'].startswith('auspex:1 asked=1440 ')
                self.assertEqual(job['time_limit'] < 1440, decided)
                self.assertEqual(job['time_limit'] == 1440, not decided)
            self.wait_until_shortened()
        self.assert_same_slurmctld(pid)


if __name__ == '__main__':
    unittest.main()

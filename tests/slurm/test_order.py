# SPDX-License-Identifier: Apache-2.0
"""Order: a job predicted to be short goes before a long one of its age, and age wins in the end."""
import unittest

from case import SlurmCase
from processes import wait_until

# Age counts for five times the order, and is full after two minutes.
CONF = '''
PriorityWeightAge=50000
PriorityMaxAge=0-00:02:00
PriorityCalcPeriod=00:01:00
PriorityUsageResetPeriod=NONE
'''
PARTITIONS = 'PartitionName=cpu Nodes=n1 Default=YES MaxTime=7-0 State=UP\n'


class Order(SlurmCase):
    cluster_options = {'nodes': 1, 'cpus': 2, 'priority': 'multifactor', 'conf': CONF, 'accounting': True,
                       'partitions': PARTITIONS}

    def fill(self):
        """From here on jobs wait."""
        job_id = self.cluster.sbatch('-n', '2', '-t', '5', wrap='sleep 3600').job_id
        wait_until(lambda: self.cluster.job(job_id).get('JobState') == 'RUNNING', 60, 'a full node')
        self.addCleanup(self.cluster.cancel_all)

    def pending(self, limit):
        """A prediction is never longer than the limit: the one of 20 minutes is the shorter job."""
        return self.cluster.sbatch('-n', '2', '-t', limit, '-J', f'of-{limit}').job_id

    def priorities(self, *ids):
        jobs = self.cluster.jobs()
        return [jobs[job]['priority'] for job in ids]

    def test_short_ones_pass_and_age_wins_back(self):
        with self.deciding(order={'weight': 10000}):
            self.fill()
            long, short = self.pending('1000'), self.pending('20')
            first = self.priorities(long, short)
            self.assertGreater(first[1], first[0] + 1000)
            said = self.cluster.client('sprio', '-h', '-j', f'{long},{short}', '-o', '%i %S').stdout
            site = dict(line.split() for line in said.splitlines())
            self.assertGreater(int(site[str(short)]), int(site[str(long)]) + 1000)
            wait_until(lambda: self.priorities(long)[0] > first[1], 200, 'the long one to age')
            fresh = self.pending('20')
            old, new = self.priorities(long, fresh)
            self.assertGreater(old, new, 'a newcomer passes whoever has waited long')

    def test_off_by_default(self):
        with self.deciding():
            self.fill()
            self.assertEqual(*self.priorities(self.pending('1000'), self.pending('20')))


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""What is not ours to change stays; arrays and heterogeneous jobs are decided as Slurm asks."""
import unittest

from case import ASKED_MIN, OVERASKED, SlurmCase
from cluster import minutes

SCRIPT = '#!/bin/sh\n#SBATCH -t 1440\n{}\ntrue\n'


class Interactive(SlurmCase):
    def setUp(self):
        self.enterContext(self.deciding())

    def test_srun_is_left_alone(self):
        said = self.cluster.client('srun', *OVERASKED, 'sh', '-c', 'echo $SLURM_JOB_ID')
        self.assertEqual(self.cluster.limit_min(said.stdout.strip()), ASKED_MIN)
        self.assertNotIn('auspex', said.stderr)

    def test_salloc_is_left_alone(self):
        said = self.cluster.client('salloc', *OVERASKED, 'true')
        self.assertEqual(self.cluster.limit_min(said.job_id), ASKED_MIN)
        self.assertNotIn('auspex', said.stderr)

    def test_each_component_of_a_het_job_is_decided(self):
        other = ('-A', 'demo', '-p', 'cpu', '-J', 'blast-align', '-t', '2880')
        said = self.cluster.sbatch('--hold', *OVERASKED, ':', *other)
        audits = [self.cluster.jobs()[said.job_id + offset] for offset in (0, 1)]
        for audit, asked in zip(audits, (ASKED_MIN, 2880)):
            self.assertRegex(audit['admin_comment'], f'^auspex:1 asked={asked} ')
            self.assertLess(audit['time_limit'], asked)

    def test_an_array_is_one_decision(self):
        said = self.assert_shortened(*OVERASKED, '--array=1-20')
        self.assertEqual(said.stderr.count('auspex: time limit'), 1)
        limit = self.cluster.limit_min(said.job_id)
        each = self.cluster.client('squeue', '-h', '-r', '-j', str(said.job_id), '-o', '%K %l').stdout
        tasks = dict(line.split() for line in each.splitlines())
        self.assertEqual(set(tasks), {str(task) for task in range(1, 21)})
        self.assertEqual({minutes(text) for text in tasks.values()}, {limit})

    def test_time_min_is_left_alone(self):
        said = self.assert_untouched(*OVERASKED, '--time-min=60')
        self.assertEqual(self.cluster.job(said.job_id)['TimeMin'], '01:00:00')

    def test_opt_out_is_left_alone(self):
        options = OVERASKED[:-2]
        self.assert_untouched(*options, script=SCRIPT.format('#AUSPEX off'))
        self.assert_shortened(*options, script=SCRIPT.format('#AUSPEX batch=3'))
        self.assert_untouched(*OVERASKED, environment={'AUSPEX': 'off'})

    def test_test_only_makes_no_job(self):
        before = len(self.cluster.jobs())
        self.cluster.client('sbatch', '--test-only', *OVERASKED, '--wrap', 'true')
        self.assertEqual(len(self.cluster.jobs()), before)

    def test_the_user_s_later_update_is_not_touched(self):
        said = self.assert_shortened()
        self.cluster.client('scontrol', 'update', f'JobId={said.job_id}', 'TimeLimit=700')
        self.assertEqual(self.cluster.limit_min(said.job_id), 700)


if __name__ == '__main__':
    unittest.main()

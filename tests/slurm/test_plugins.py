# SPDX-License-Identifier: Apache-2.0
"""Beside another job_submit plugin, which also writes what the guard needs."""
import unittest

from case import ASKED_MIN, OVERASKED, QUICK, SlurmCase
from processes import wait_until

# What sites' scripts do for their accounting.
SCRIPT = '''
function slurm_job_submit(job, partitions, uid)
  job.admin_comment = "ticket 77"
  return slurm.SUCCESS
end
function slurm_job_modify(job, record, partitions, uid) return slurm.SUCCESS end
return slurm.SUCCESS
'''


class Plugins(SlurmCase):
    def use_plugins(self, names):
        base = self.cluster.base
        with open(f'{base}/job_submit.lua', 'w', encoding='utf-8') as out:
            out.write(SCRIPT)
        with open(f'{base}/slurm.conf', encoding='utf-8') as conf:
            lines = [line for line in conf if not line.startswith('JobSubmitPlugins')]
        with open(f'{base}/slurm.conf', 'w', encoding='utf-8') as conf:
            conf.writelines([*lines, f'JobSubmitPlugins={names}\n'])
        self.cluster.stop_slurmctld()
        self.cluster.start_slurmctld()

    def test_in_front_of_ours_it_is_heard_and_does_no_harm(self):
        self.use_plugins('lua,auspex')
        with self.guarding(**QUICK):
            job_id = self.cluster.sbatch('-t', '5', '-n', '1', wrap='sleep 3600').job_id
            wait_until(lambda: self.cluster.limit_min(job_id) == 3, 60, 'an extension')
            self.assertRegex(self.cluster.job(job_id)['AdminComment'],
                             '^ticket 77 auspex:1 asked=5 .* extended=1 was=1$')

    def test_behind_ours_it_would_take_the_audit_away_so_no_limit_is_tightened(self):
        self.use_plugins('auspex,lua')
        with self.daemon(mode='guarded', **QUICK) as daemon:
            wait_until(lambda: 'lua behind auspex' in (daemon.status()['guard']['fault'] or ''), 60,
                       'the order of the plugins to be seen')
            def job_of_an_answer():
                before = daemon.status()['decisions']['by_why']['guard-down']
                result, limit_min = self.submit(*OVERASKED)
                self.assertEqual(limit_min, ASKED_MIN)
                answered = daemon.status()['decisions']['by_why']['guard-down'] > before
                return result.job_id if answered else None
            job_id = wait_until(job_of_an_answer, 60, 'the plugin to ask')
            self.assertEqual(self.cluster.job(job_id)['AdminComment'], 'ticket 77')


if __name__ == '__main__':
    unittest.main()

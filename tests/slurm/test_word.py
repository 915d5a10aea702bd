# SPDX-License-Identifier: Apache-2.0
"""Whose limit it is: what an administrator or a user does to a guarded job is respected, and what
Slurm does to it is survived."""
import os
import re
import signal
import unittest

from case import QUICK, SlurmCase
from processes import wait_until

ASKED_MIN = 5
AN_HOUR = 'sleep 3600'


class Word(SlurmCase):
    cluster_options = {'cpus': 32, 'memory_mib': 32000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.standing = cls.enterClassContext(cls().guarding(**QUICK))

    def setUp(self):
        self.wait_until_shortened()  # whatever the test before left behind is over
        self.cluster.cancel_all()

    def tearDown(self):
        self.cluster.cancel_all()

    def shortened(self, *options, wrap=AN_HOUR):
        result = self.cluster.sbatch('-t', str(ASKED_MIN), '-n', '1', *options, wrap=wrap)
        self.assertEqual(self.cluster.limit_min(result.job_id), 1)
        return result.job_id

    def running(self, *options):
        job_id = self.shortened(*options)
        self.wait_for_state(job_id, 'RUNNING')
        return job_id

    def wait_for_state(self, job_id, state):
        wait_until(lambda: self.cluster.job(job_id).get('JobState') == state, 60, f'{job_id} {state}')

    def update(self, job_id, *words):
        self.cluster.client('scontrol', 'update', f'JobId={job_id}', *words)

    def audit(self, job_id):
        return self.cluster.job(job_id)['AdminComment']

    def wait_until_extended(self, job_id, limit_min=3):
        wait_until(lambda: self.cluster.limit_min(job_id) >= limit_min, 60, f'{job_id} to be extended')

    def wait_until_left(self, job_id):
        wait_until(lambda: f'guard: job {job_id}: its limit of' in self.standing.log(), 60,
                   f'{job_id} to be left alone')

    def test_an_extension_is_told_in_the_record(self):
        job_id = self.running()
        self.wait_until_extended(job_id)
        self.assertRegex(self.audit(job_id), r'^auspex:1 asked=5 applied=1 .*mode=guarded .* steps=2 '
                                             r'limit=3 extended=1 was=1$')

    def test_an_administrators_limit_stays(self):
        lower, higher = self.shortened('--hold'), self.shortened('--hold')
        self.update(lower, 'TimeLimit=2')
        self.update(higher, 'TimeLimit=100')
        for job_id in lower, higher:
            self.cluster.client('scontrol', 'release', str(job_id))
            self.wait_until_left(job_id)
        running = self.running()
        self.update(running, 'TimeLimit=4')
        self.wait_until_left(running)
        other = self.running()
        self.wait_until_extended(other)
        self.assertEqual([self.cluster.limit_min(job) for job in (lower, higher, running)], [2, 100, 4])

    def test_what_stood_in_the_comment_is_kept(self):
        job_id = self.shortened('--hold')
        text = self.audit(job_id)
        self.update(job_id, f'AdminComment=note {text} ticket=77')
        self.cluster.client('scontrol', 'release', str(job_id))
        self.wait_until_extended(job_id)
        self.assertRegex(self.audit(job_id), r'^note auspex:1 asked=5 .* extended=1 was=1 ticket=77$')

    def test_a_comment_that_somebody_replaced_does_not_end_the_guard(self):
        job_id = self.running()
        wait_until(lambda: self.standing.status()['guard']['guarded'] == 1, 60, 'the guard to know it')
        self.update(job_id, 'AdminComment=ticket 77')
        # Its first step may have come before the comment: then it is the second that tells.
        extended = re.compile(r'^ticket 77 auspex:1 asked=5 .* extended=[12] was=[13]$')
        wait_until(lambda: extended.match(self.audit(job_id)), 240, 'the guard to go on')

    def test_with_a_hung_daemon_the_guard_goes_on(self):
        job_id = self.running()
        self.standing.pause()
        self.addCleanup(self.standing.resume)
        self.wait_until_extended(job_id)

    def test_each_task_of_an_array_is_extended_by_itself(self):
        array = self.cluster.sbatch('-t', str(ASKED_MIN), '-n', '1', '--array=0-2',
                                    wrap=f'[ $SLURM_ARRAY_TASK_ID = 0 ] || {AN_HOUR}').job_id
        def tasks():
            said = self.cluster.client('squeue', '-h', '-r', '-j', str(array), '-o', '%K %l').stdout
            return dict(line.split() for line in said.splitlines())
        wait_until(lambda: tasks() == {'1': '3:00', '2': '3:00'}, 90, 'two tasks to be extended')

    def test_a_suspended_job_waits_and_is_extended_afterwards(self):
        job_id = self.running()
        self.cluster.client('scontrol', 'suspend', str(job_id))
        other = self.running()
        self.wait_until_extended(other)
        self.cluster.client('scontrol', 'resume', str(job_id))
        self.wait_until_extended(job_id)
        self.assertEqual(self.cluster.job(job_id)['JobState'], 'RUNNING')

    def test_a_requeued_job_is_guarded_again(self):
        job_id = self.running('--requeue')
        self.wait_until_extended(job_id)
        self.cluster.client('scontrol', 'requeue', str(job_id))
        self.wait_for_state(job_id, 'PENDING')
        # Slurm would wait for two minutes; in the same second slurmd takes it for the run before.
        self.update(job_id, 'StartTime=now+5')
        wait_until(lambda: self.cluster.job(job_id).get('Restarts') == '1'
                   and self.cluster.job(job_id)['JobState'] == 'RUNNING', 200, 'the second run')
        self.assertGreaterEqual(self.cluster.limit_min(job_id), 3)
        wait_until(lambda: self.cluster.limit_min(job_id) == ASKED_MIN, 200, 'the last extension')

    def test_a_restarted_slurmctld_is_found_again(self):
        job_id = self.running()
        self.cluster.stop_slurmctld()
        self.cluster.start_slurmctld()
        self.wait_until_extended(job_id)
        wait_until(lambda: self.standing.status()['guard']['stands'], 60, 'the guard to stand again')

    def test_before_a_reservation_nobody_is_shortened(self):
        pending = self.shortened('--hold')
        self.cluster.client('scontrol', 'create', 'reservation', 'ReservationName=upkeep',
                            'StartTime=now+3minutes', 'Duration=10', 'Nodes=ALL', 'Users=root',
                            'Flags=MAINT,IGNORE_JOBS')
        self.addCleanup(self.cluster.client, 'scontrol', 'delete', 'ReservationName=upkeep')
        wait_until(lambda: self.cluster.limit_min(pending) == ASKED_MIN, 90, 'the limit to come back')
        result = self.cluster.sbatch('-t', str(ASKED_MIN), '--hold')
        self.assertEqual(self.cluster.limit_min(result.job_id), ASKED_MIN)
        why = self.standing.status()['decisions']['by_why']
        self.assertGreater(why['maintenance'], 0)

    def test_without_a_guard_guarded_is_advice(self):
        guard = int(self.cluster.client('pgrep', '-P', str(self.standing.pid), '-x',
                                        'auspex-guard').stdout)
        os.kill(guard, signal.SIGSTOP)
        wait_until(lambda: not self.standing.status()['guard']['stands'], 60, 'the guard to be missed')
        self.assertIn('silent', self.standing.status()['guard']['fault'])
        result = self.cluster.sbatch('-t', str(ASKED_MIN), '--hold')
        self.assertEqual(self.cluster.limit_min(result.job_id), ASKED_MIN)
        self.assertIn('would do', result.stderr)
        self.assertIn('mode=advise', self.audit(result.job_id))
        os.kill(guard, signal.SIGKILL)
        wait_until(lambda: self.standing.status()['guard']['stands'], 60, 'another guard')
        self.shortened('--hold')


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Whose rights the guard has: SlurmUser that is not root, an operator's account of its own, and an
account that may do nothing."""
import getpass
import os
import shutil
import unittest

from case import QUICK, SlurmCase
from processes import wait_until

ASKED_MIN = 5
SLURM, OPERATOR, NOBODY = 'slurm', 'games', 'irc'


@unittest.skipUnless(getpass.getuser() == 'root', 'needs several users')
class Rights(SlurmCase):
    cluster_options = {'cpus': 32, 'memory_mib': 32000, 'accounting': True, 'user': SLURM}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.accounting.make_operator(cls.cluster, OPERATOR)

    def daemon_of(self, user):
        """In a folder of its own, as systemd would give it one."""
        home = os.path.dirname(self.cluster.socket_path)
        shutil.rmtree(home)
        os.mkdir(home, 0o755)
        shutil.chown(home, user)
        return self.daemon(user=user, model=self.model(0.5), mode='guarded', **QUICK,
                           history={'state': f'{home}/history.state'},
                           ledger={'path': f'{home}/ledger.db'})

    def setUp(self):
        self.addCleanup(self.cluster.cancel_all)

    def submit(self):
        return self.cluster.sbatch('-t', str(ASKED_MIN), '-n', '1', wrap='sleep 3600').job_id

    def assert_guarded(self, daemon, audit):
        wait_until(lambda: daemon.status()['guard']['stands'], 60, 'the guard to stand')
        job_id = self.submit()
        self.assertEqual(self.cluster.limit_min(job_id), 1)
        wait_until(lambda: self.cluster.limit_min(job_id) == 3, 60, 'an extension')
        self.assertRegex(self.cluster.job(job_id)['AdminComment'], audit)
        return job_id

    def test_slurm_user_may_do_all(self):
        with self.daemon_of(SLURM) as daemon:
            wait_until(lambda: self.cluster.limit_min(self.submit()) == 1, 60, 'the plugin to find it')
            self.assert_guarded(daemon, r' limit=3 extended=1 was=1$')

    def test_an_operator_extends_and_says_what_it_cannot_do(self):
        with self.daemon_of(OPERATOR) as daemon:
            # Only another user's job shows what it may do; the first one gets advice.
            wait_until(lambda: 'no other user' in (daemon.status()['guard']['fault'] or ''), 60,
                       'the guard to report')
            first = self.submit()
            self.assertEqual(self.cluster.limit_min(first), ASKED_MIN)
            job_id = self.assert_guarded(daemon, r' mode=guarded .* steps=2$')
            wait_until(lambda: self.cluster.limit_min(job_id) == ASKED_MIN, 200, 'the last extension')
            self.assertIn('is an operator: limits are raised, but admin_comment stays as it is',
                          daemon.log())

    def test_who_may_do_nothing_says_so(self):
        with self.daemon_of(NOBODY) as daemon:
            wait_until(lambda: daemon.status()['guard']['fault'], 60, 'the guard to report')
            self.submit()
            wait_until(lambda: 'may not change other users' in daemon.status()['guard']['fault'], 60,
                       'the refusal')
            self.assertEqual(self.cluster.limit_min(self.submit()), ASKED_MIN)


if __name__ == '__main__':
    unittest.main()

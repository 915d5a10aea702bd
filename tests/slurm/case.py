# SPDX-License-Identifier: Apache-2.0
"""What the tests on a real cluster share: one cluster per class, a model, the daemon."""
import contextlib
import os
import subprocess
import unittest

from auspexd import Daemon, plugin, program
from cluster import Cluster
from processes import wait_until

# A job whose limit is far above the model's answer.
ASKED_MIN = 1440
OVERASKED = ('-A', 'demo', '-p', 'cpu', '-J', 'blast-align', '-t', str(ASKED_MIN))
PREDICTED_MIN = 100  # the constant model's median

# The least that Slurm knows: a rewritten limit of one minute, which leaves the guard no time to lose.
QUICK = {'limits': {'floor_min': 1, 'round_min': 1, 'margin': 1},
         'guard': {'lead_min': 1, 'steps': 2, 'interval_s': 2}}


class SlurmCase(unittest.TestCase):
    """cluster_options: Cluster's arguments."""
    cluster_options = {}

    @classmethod
    def setUpClass(cls):
        cls.cluster = cls.enterClassContext(Cluster(plugin=plugin(), **cls.cluster_options))

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            self.cluster.print_logs()
        return result

    @classmethod
    def model(cls, minutes=PREDICTED_MIN):
        """The path of a model that predicts so much for every job."""
        path = f'{cls.cluster.base}/constant-{minutes}.auspex'
        if not os.path.exists(path):
            subprocess.run([program('write_constant_model'), path, str(minutes)], check=True,
                           timeout=60)
        return path

    def daemon(self, **settings):
        """A daemon that is not yet started. In mode hard: what it does depends on nobody else."""
        return Daemon(self.cluster, **{'model': self.model(), 'mode': 'hard', **settings})

    @contextlib.contextmanager
    def guarding(self, minutes=0.5, **settings):
        """A daemon in mode guarded that the plugin has found, and a guard that stands."""
        with self.daemon(model=self.model(minutes), mode='guarded', **settings) as daemon:
            wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the guard to stand')
            self.wait_until_shortened()
            self.cluster.cancel_all()
            yield daemon

    @contextlib.contextmanager
    def deciding(self, **settings):
        """A daemon that the plugin has found, and whose deadline it has learnt: the first call
        has the short one of production, which a busy machine may miss."""
        with self.daemon(**settings) as daemon:
            self.wait_until_shortened()
            yield daemon

    def submit(self, *options, **more):
        """A held job from sbatch; its record by `squeue --json` with Result and limit beside."""
        result = self.cluster.sbatch('--hold', *options, **more)
        return result, self.cluster.limit_min(result.job_id)

    def assert_untouched(self, *options, asked=ASKED_MIN, **more):
        result, limit = self.submit(*(options or OVERASKED), **more)
        self.assertEqual(limit, asked)
        self.assertNotIn('auspex', result.stderr)
        self.assertNotIn('auspex:1', self.cluster.job(result.job_id).get('AdminComment', ''))
        return result

    def assert_shortened(self, *options, asked=ASKED_MIN, **more):
        result, limit = self.submit(*(options or OVERASKED), **more)
        self.assertLess(limit, asked)
        self.assertIn(f'applied={limit} ', self.cluster.job(result.job_id)['AdminComment'])
        return result

    def is_shortened(self, *options, asked=ASKED_MIN):
        return self.submit(*(options or OVERASKED))[1] < asked

    def wait_until_shortened(self):
        """The plugin finds a daemon again within seconds: its pauses between probes are short."""
        wait_until(self.is_shortened, 60, 'the plugin to find the daemon')

    def assert_same_slurmctld(self, pid):
        self.assertTrue(self.cluster.slurmctld_alive())
        self.assertEqual(self.cluster.slurmctld_pid, pid)

    def complaints(self):
        """slurmctld's log lines from our plugin that are errors."""
        return [line for line in self.cluster.slurmctld_log().splitlines()
                if 'error: job_submit/auspex' in line]


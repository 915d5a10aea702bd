# SPDX-License-Identifier: Apache-2.0
"""Each reason for which a job is left alone, with a real sbatch: the limit stays, nothing is
written or said, and the reason is counted. guard-down is in test_plugins.py."""
import contextlib
import unittest

from case import ASKED_MIN, SlurmCase
from processes import wait_until

PLAIN = ('-p', 'cpu', '-J', 'alone')
DAY = (*PLAIN, '-t', '1-0')


class LeftAlone(SlurmCase):
    def reasons(self, daemon):
        return daemon.status()['decisions']['by_why']

    @contextlib.contextmanager
    def one_more(self, daemon, reason):
        before = self.reasons(daemon)
        yield
        after = self.reasons(daemon)
        more = {why: after[why] - before[why] for why in after if after[why] != before[why]}
        self.assertEqual(more, {reason: 1})

    def assert_left(self, daemon, reason, *options, asked=ASKED_MIN, **more):
        with self.subTest(reason=reason, options=options), self.one_more(daemon, reason):
            result = self.assert_untouched('--hold', *options, asked=asked, **more)
            job = self.cluster.jobs()[result.job_id]
            self.assertEqual(job['admin_comment'], '')
            self.assertEqual(result.stderr, '')

    def test_what_the_user_asked_for_comes_first(self):
        with self.deciding() as daemon:
            self.assert_left(daemon, 'opt-out', *DAY, script='#!/bin/sh\n#AUSPEX off\ntrue\n')
            self.assert_left(daemon, 'opt-out', *DAY, environment={'AUSPEX': 'off'})
            self.assert_left(daemon, 'time-min', *DAY, '--time-min=5')
            self.assert_left(daemon, 'signal', *DAY, '--signal=B:USR1@60')
            self.assert_left(daemon, 'deadline', *DAY, '--deadline=now+3days')
            self.assert_left(daemon, 'no-limit-asked', *PLAIN, asked=60)
            self.assert_left(daemon, 'not-below-asked', *PLAIN, '-t', '5', asked=5)

    def test_a_reservation_and_an_interactive_job(self):
        self.cluster.client('scontrol', 'create', 'reservation', 'ReservationName=class',
                            'StartTime=now', 'Duration=3-0', 'NodeCnt=1', 'Users=root')
        self.addCleanup(self.cluster.client, 'scontrol', 'delete', 'ReservationName=class')
        self.addCleanup(self.cluster.cancel_all)
        with self.deciding() as daemon:
            self.assert_left(daemon, 'reservation', *DAY, '--reservation=class')
            with self.one_more(daemon, 'interactive'):
                said = self.cluster.client('salloc', *DAY, '--immediate=30', 'squeue', '-h', '-o',
                                           '%j %l')
                self.assertIn('alone 1-00:00:00', said.stdout)

    def test_what_the_site_says(self):
        rules = [{'match': {'partition': 'gpu'}, 'mode': 'off'},
                 {'match': {'name': 'soft-*'}, 'mode': 'soft'}]
        with self.deciding(rules=rules) as daemon:
            self.assert_left(daemon, 'mode-off', '-p', 'gpu', '-t', '1-0')
            self.assert_left(daemon, 'soft-refused', '-p', 'cpu', '-J', 'soft-1', '-t', '1-0')
            wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the partitions to be known')
            self.assert_left(daemon, 'above-partition', '-p', 'cpu', '-t', '30-0', asked=30 * 1440)

    def test_the_default_partition_has_its_rules(self):
        rules = [{'match': {'partition': 'cpu', 'name': 'alone'}, 'mode': 'off'}]
        with self.deciding(rules=rules) as daemon:
            wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the partitions to be known')
            self.assert_left(daemon, 'mode-off', '-J', 'alone', '-t', '1-0')

    def test_without_a_model(self):
        with self.daemon(model='/nonexistent') as daemon:
            self.assert_untouched()
            self.assertGreater(self.reasons(daemon)['no-model'], 0)

    def test_the_dry_run_gives_the_same_reason(self):
        with self.deciding() as daemon:
            for options in (('--time-min=5',), ('--signal=B:USR1@60',), ('--deadline=now+3days',)):
                said = daemon.auspex('dry-run', *DAY, *options, '--wrap', 'true').stdout.decode()
                self.assertIn(options[0].split('=')[0], said)


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""The whole path: sbatch in, a rewritten job out."""
import re
import unittest

from case import ASKED_MIN, OVERASKED, PREDICTED_MIN, SlurmCase
from processes import wait_until

UNLIMITED = 0xffffffff
GPU_JOB = ('-A', 'demo', '-p', 'gpu', '-J', 'train-resnet', '--gres=gpu:1g.5gb:1', '-t', '2880')


class Walk(SlurmCase):
    def test_limit_audit_and_message_come_back(self):
        with self.deciding():
            result, limit = self.submit(*OVERASKED)
            self.assertLess(limit, ASKED_MIN)
            self.assertGreaterEqual(limit, PREDICTED_MIN)
            audit = self.cluster.jobs()[result.job_id]['admin_comment']
            self.assertRegex(audit, f'^auspex:1 asked={ASKED_MIN} applied={limit} p50={PREDICTED_MIN} '
                                    r'q=0\.9 mode=hard model=\w+ why=\w+')
            self.assertRegex(result.stderr, r'(?m)^sbatch: auspex: time limit 1-00:00:00 -> ')
            self.assertEqual(result.stdout, f'Submitted batch job {result.job_id}\n')

    def test_dry_run_gives_the_same_answer(self):
        with self.deciding() as daemon:
            for options in (OVERASKED, GPU_JOB, ('-p', 'cpu', '-n', '4', '-c', '2', '-t', '600'),
                            ('-p', 'cpu', '-J', 'two\nlines', '-t', '1-0'), ('-p', 'cpu', '-t', '5'),
                            ('-p', 'cpu', '-t', '300', '--time-min=200'), ('-p', 'cpu',),
                            ('-p', 'cpu', '-t', 'UNLIMITED'), ('-p', 'cpu', '-t', '90:30')):
                with self.subTest(options=options):
                    result, limit = self.submit(*options, check=False)
                    decision = daemon.dry_run(*options)['decision']
                    if '-t' in options and result.job_id is not None:
                        applied = decision['time_limit_min']['applied']
                        self.assertEqual(None if applied == UNLIMITED else applied, limit)
                    said = ''.join(line[len('sbatch: '):] for line in result.stderr.splitlines()
                                   if 'auspex' in line)
                    self.assertEqual(decision.get('message') or '', said)

    def test_reload_takes_a_good_file(self):
        with self.deciding() as daemon:
            pid = daemon.pid
            daemon.configure(model=self.model(), mode='off')
            daemon.reload()
            wait_until(lambda: not self.is_shortened(), 30, 'mode off to be taken')
            self.assert_untouched()
            daemon.configure(model=self.model(), mode='hard')
            daemon.reload()
            self.wait_until_shortened()
            self.assertEqual(daemon.pid, pid)

    def test_reload_keeps_the_old_file_when_the_new_is_bad(self):
        with self.deciding() as daemon:
            with open(daemon.config, encoding='utf-8') as config:
                good = config.read()
            for key, bad in (('mode', 'mode: bold'), ('', 'mod: guarded'), ('risk', 'risk: 2'),
                             ('rules', 'rules: [{match: {partition: x}, mode:'),
                             ('model', 'model: /nonexistent/model'), ('mode', 'mode: [guarded]')):
                with self.subTest(bad=bad):
                    before = len(daemon.log())
                    kept = [line for line in good.splitlines() if not key or not line.startswith(key + ':')]
                    daemon.write_config('\n'.join([*kept, bad, '']))
                    daemon.reload()
                    wait_until(lambda start=before: 'refused' in daemon.log()[start:], 30,
                               'the refusal in the log')
                    refusal = daemon.log()[before:]
                    self.assertRegex(refusal, r'/nonexistent/model' if key == 'model'
                                     else r'auspex\.yaml:\d+: ')
                    self.assert_shortened()

    def test_a_rule_of_the_site_wins(self):
        with self.deciding() as daemon:
            rules = [{'match': {'partition': 'cpu'}, 'mode': 'off'}]
            daemon.configure(model=self.model(), mode='hard', rules=rules)
            daemon.reload()
            wait_until(lambda: not self.is_shortened(), 30, 'the rule to be taken')
            self.assert_shortened(*GPU_JOB, asked=2880)

    def test_advise_says_and_does_nothing(self):
        with self.deciding() as daemon:
            daemon.configure(model=self.model(), mode='advise')
            daemon.reload()
            wait_until(lambda: not self.is_shortened(), 30, 'mode advise to be taken')
            result, limit = self.submit(*OVERASKED)
            self.assertEqual(limit, ASKED_MIN)
            self.assertRegex(result.stderr, r'(?m)^sbatch: auspex: .* would do')

    def test_observe_is_silent(self):
        with self.deciding() as daemon:
            daemon.configure(model=self.model(), mode='observe')
            daemon.reload()
            wait_until(lambda: not self.is_shortened(), 30, 'mode observe to be taken')
            self.assert_untouched()

    def test_no_model_leaves_jobs_alone(self):
        with self.daemon(model=f'{self.cluster.base}/none.auspex') as daemon:
            self.assert_untouched()
            self.assertIn('none.auspex', daemon.log())


if __name__ == '__main__':
    unittest.main()

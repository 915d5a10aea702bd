# SPDX-License-Identifier: Apache-2.0
"""Submissions that try to break the path: size, bytes, emptiness. Daemon and slurmctld live."""
import json
import unittest

from auspexd import program
from case import ASKED_MIN, OVERASKED, SlurmCase

MEBI = 1 << 20
HEAD = '#!/bin/sh\n#SBATCH -A demo -p cpu -J blast-align\n#SBATCH -t 1440\n'
OPTIONS = ('-A', 'demo', '-p', 'cpu', '-t', str(ASKED_MIN))


class Hostile(SlurmCase):
    cluster_options = {
        # sbatch and slurmctld take 4 MB by default; one step more is refused by Slurm, not by us.
        'scheduler': 'batch_sched_delay=1,sched_min_interval=100000,max_script_size=4194304'}

    def setUp(self):
        self.running = self.enterContext(self.deciding())
        self.pids = self.cluster.slurmctld_pid, self.running.pid

    def tearDown(self):
        self.assert_same_slurmctld(self.pids[0])
        self.assertTrue(self.running.alive())
        self.assertEqual(self.running.pid, self.pids[1])
        # Still in its senses, the breaker closed.
        self.assert_shortened()

    def recorded(self, result, field):
        return self.cluster.jobs()[result.job_id][field]

    def test_script_of_four_megabytes(self):
        body = '# filling, 64 bytes a line, as long as a generated job script....\n'
        script = HEAD + body * ((4 * MEBI - len(HEAD) - 16) // len(body)) + 'true\n'
        self.assertGreater(len(script), 4 * MEBI - 200)
        self.assert_shortened(script=script)

    def test_script_of_one_line(self):
        self.assert_shortened(script=HEAD + 'true ' + 'x' * MEBI)

    def test_script_with_nul_bytes_is_slurm_s_to_refuse(self):
        said = self.cluster.sbatch('--hold', script=(HEAD + 'a\0b\n').encode(), check=False)
        self.assertNotEqual(said.status, 0)
        self.assertIn('NULL', said.stderr)

    def test_script_with_nul_bytes_through_the_api(self):
        path = f'{self.cluster.base}/work/nul.sh'
        with open(path, 'wb') as out:
            out.write(HEAD.encode() + b'a\0b\n' * 1000)
        said = self.cluster.client(program('submit_jobs'), '--count', '10', '--held', '--script', path)
        self.assertEqual(json.loads(said.stdout)['failed'], 0)

    def test_directive_at_the_edge_of_what_travels(self):
        # #AUSPEX off just before, across and after the 32 KiB that the daemon sees.
        line = '#AUSPEX off\n'
        for start, seen in ((32768 - len(line), True), (32768 - 4, False), (32768, False)):
            with self.subTest(start=start):
                filling = ('#' + 'f' * 62 + '\n') * 600
                script = (HEAD + filling)[:start - 1] + '\n' + line + 'true\n'
                (self.assert_untouched if seen else self.assert_shortened)(script=script)

    def test_long_names_and_comments(self):
        for length in (1, 255, 256, 257, 1023, 1024):
            with self.subTest(length=length):
                said = self.assert_shortened(*OPTIONS, '-J', 'n' * length, '--comment', 'c' * length)
                self.assertEqual(self.recorded(said, 'name'), 'n' * length)
                self.assertEqual(self.recorded(said, 'comment'), 'c' * length)

    def test_names_too_long_are_slurm_s_to_refuse(self):
        # Its own limit is 1,024 bytes; it looks after the plugin has seen them.
        for option in ('--job-name', '--comment'):
            for length in (1025, 10000, 100000):
                with self.subTest(option=option, length=length):
                    said = self.cluster.sbatch('--hold', *OPTIONS, option, 'x' * length, check=False)
                    self.assertIn('parameter too long', said.stderr)

    def test_every_text_option_at_ten_thousand_bytes(self):
        # Unknown accounts, features and so on are refused by Slurm; that is after our call.
        for option in ('-A', '-p', '-q', '-C', '--wckey', '--licenses', '--reservation', '-d', '--gres',
                       '--gpus', '-D', '--array', '-w', '--mcs-label', '--cluster-constraint'):
            with self.subTest(option=option):
                self.cluster.sbatch('--hold', '-t', '60', option, 'x' * 10000, check=False)

    def test_bytes_that_are_no_text(self):
        names = [bytes(range(1, 256)), b'\xff\xfe\x80', b'\xc3', 'Grüße an 東京 🚀'.encode(),
                 b"'; rm -rf / #", b'"quoted" \\ back', b'$(true) `true` %s%n%x', b'a\nTimeLimit=1\nb',
                 b'auspex:1 asked=1 applied=1', b' ', b'-']
        for name in names:
            with self.subTest(name=name):
                said, limit = self.submit(*OPTIONS, b'--job-name=' + name, b'--comment=' + name)
                self.assertLessEqual(limit, ASKED_MIN)
                kept = self.cluster.client('squeue', '-h', '-j', str(said.job_id), '-o', '%j').stdout
                self.assertEqual(kept, name.decode('utf-8', 'backslashreplace') + '\n')

    def test_a_script_of_bytes(self):
        junk = bytes(byte for byte in range(1, 256)) * 1000
        self.assert_shortened(script=HEAD.encode() + junk)

    def test_no_option_at_all(self):
        said, limit = self.submit(script='#!/bin/sh\n')
        self.assertEqual(limit, 60)
        self.assertNotIn('auspex', said.stderr)

    def test_many_arguments_and_variables(self):
        variables = {f'AUSPEX_{index}': 'v' * 1000 for index in range(200)}
        script = f'{self.cluster.base}/work/many.sh'
        with open(script, 'w', encoding='utf-8') as out:
            out.write(HEAD + 'true\n')
        said = self.cluster.client('sbatch', '--hold', script, *['a' * 100] * 1000,
                                   environment=variables)
        self.assertLess(self.cluster.limit_min(said.job_id), ASKED_MIN)

    def test_every_optional_limit_at_its_end(self):
        for limit in ('0', '1', 'UNLIMITED', '7-00:00:00', '8-00:00:00'):
            with self.subTest(limit=limit):
                self.cluster.sbatch('--hold', '-A', 'demo', '-p', 'cpu', '-t', limit, check=False)


if __name__ == '__main__':
    unittest.main()

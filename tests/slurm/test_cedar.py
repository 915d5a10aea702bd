# SPDX-License-Identifier: Apache-2.0
"""500 real submissions through a real slurmctld: each decision equals the dry run's, row by row.

Needs a published history that does not ship with Auspex (Cedar 2021, mila-iqia/slurm-queue-time-pred):
$AUSPEX_TEST_DATA/jobs/cedar, or shared/data/jobs/cedar beside the source tree. Skipped without it.
"""
import csv
import datetime
import io
import json
import lzma
import math
import os
import re
import subprocess
import sys
import unittest

from auspexd import program
from case import SlurmCase
from processes import wait_until

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
DATA = os.environ.get('AUSPEX_TEST_DATA') or os.path.join(SOURCE, '..', 'shared', 'data')
HISTORY = os.path.join(DATA, 'jobs', 'cedar', 'drac_cedar_2021.csv.xz')
SKIPPED = 77  # SKIP_RETURN_CODE in CMakeLists.txt
COUNT = 500
SHARE = 0.7  # trained on what was submitted before, replayed from what came after


def read_rows():
    with lzma.open(HISTORY, 'rt', newline='') as text:
        return list(csv.DictReader(text))


def replayable(row):
    """Jobs that both ways of asking can say alike: whole minutes, memory per CPU, at most GPUs."""
    tres = dict(part.split('=') for part in row['req_tres'].split(',') if '=' in part)
    return (float(row['time_limit_sec']) >= 60 and float(row['req_mem_per_cpu'] or 0) >= 1
            and float(row['elapsed_time'] or 0) > 0 and row['start_time'] and row['state']
            and set(tres) <= {'billing', 'cpu', 'mem', 'node', 'gres/gpu'} and int(row['req_cpus']) > 0)


def sample(rows):
    """COUNT rows spread evenly over the last part, so that all kinds of days and users are in."""
    last = sorted(rows, key=lambda row: row['submit_time'])[int(SHARE * len(rows)):]
    last = [row for row in last if replayable(row)]
    return [last[index * len(last) // COUNT] for index in range(COUNT)]


def tres_of(row):
    return dict(part.split('=') for part in row['req_tres'].split(',') if '=' in part)


def sbatch_options(row):
    tres = tres_of(row)
    options = ['-p', row['partition_id_x'], '-A', row['account_id'], '-n', row['req_cpus'],
               '-N', tres.get('node', '1'), '--mem-per-cpu', str(round(float(row['req_mem_per_cpu']))),
               '-t', str(math.ceil(float(row['time_limit_sec']) / 60))]
    if tres.get('gres/gpu', '0') != '0':
        options += ['--gpus', tres['gres/gpu']]
    return options


class Cedar(SlurmCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = sample(read_rows())
        # One fake big site: every request fits, nothing ever starts.
        partitions = ''.join(
            f'PartitionName={name} Nodes=f[1-600] MaxTime=UNLIMITED State=UP\n'
            for name in sorted({row['partition_id_x'] for row in cls.rows}))
        cls.cluster_options = {
            'partitions': 'PartitionName=cpu Nodes=n1 Default=YES\n' + partitions,
            'nodes': 1,
            'fake_nodes': 'NodeName=f[1-600] NodeAddr=127.0.0.1 Port=1 CPUs=4096 RealMemory=60000000 '
                          'Gres=gpu:64 State=UNKNOWN\n',
            'scheduler': 'batch_sched_delay=20,sched_min_interval=2000000,bf_interval=600'}
        super().setUpClass()

    def train(self):
        model = f'{self.cluster.base}/cedar.auspex'
        # Equality does not depend on how good the model is: a short training will do.
        subprocess.run([program('auspex'), 'train', '--network', 'mlp', '--jobs', HISTORY, '--format', 'csv',
                        '--until-fraction', str(SHARE), '--epochs', '2', '--out', model],
                       check=True, timeout=600, stdin=subprocess.DEVNULL)
        return model

    def test_every_decision_equals_the_dry_run(self):
        model = self.train()
        with self.daemon(model=model) as daemon:
            wait_until(self.is_decided, 30, 'the plugin to find the daemon')
            ids = [self.cluster.sbatch('--hold', *sbatch_options(row)).job_id for row in self.rows]
            jobs = self.cluster.jobs()
            applied = [jobs[job_id]['time_limit'] for job_id in ids]
            expected = self.dry_run(daemon, [jobs[job_id] for job_id in ids])
        asked = [math.ceil(float(row['time_limit_sec']) / 60) for row in self.rows]
        self.assertEqual([row['asked'] for row in expected], asked)
        different = [(row, real, said['applied']) for row, real, said
                     in zip(self.rows, applied, expected) if real != said['applied']]
        self.assertEqual(different, [])
        changed = sum(real < limit for real, limit in zip(applied, asked))
        self.assertGreater(changed, 0, 'no limit was changed: equality would say nothing')
        print(f'cedar: {len(ids)} submissions, {changed} limits shortened, all as the dry run says',
              file=sys.stderr)

    def is_decided(self):
        """The longest limit there is, in a partition of the site: some model shortens it."""
        said = self.cluster.sbatch('--hold', *sbatch_options(self.rows[0]), '-t', '300-0')
        return self.cluster.limit_min(said.job_id) < 300 * 1440

    def dry_run(self, daemon, jobs):
        """The same rows as a file, with what only the real submission has: when, who, where."""
        text = io.StringIO()
        columns = [*self.rows[0], 'user', 'group', 'name', 'work_dir']
        out = csv.DictWriter(text, columns)
        out.writeheader()
        for row, job in zip(self.rows, jobs):
            submitted = datetime.datetime.fromtimestamp(job['submit_time'])
            out.writerow({**row, 'submit_time': submitted.strftime('%Y-%m-%d %H:%M:%S'),
                          'start_time': '', 'end_time': (submitted + datetime.timedelta(
                              seconds=float(row['elapsed_time']))).strftime('%Y-%m-%d %H:%M:%S'),
                          'user': job['user_id'], 'group': job['group_id'],
                          'name': job['name'], 'work_dir': job['current_working_directory']})
        path = f'{self.cluster.base}/replayed.csv'
        with open(path, 'w', encoding='utf-8') as file:
            file.write(text.getvalue())
        said = daemon.auspex('dry-run', '--json', '--jobs', path, '--format', 'csv').stdout
        return [row['decision']['time_limit_min'] for row in json.loads(said)['decisions']]


if __name__ == '__main__':
    if not os.path.exists(HISTORY):
        print(f'skipped: no {HISTORY} (set AUSPEX_TEST_DATA)')
        sys.exit(SKIPPED)
    unittest.main()

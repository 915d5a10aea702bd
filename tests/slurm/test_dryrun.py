# SPDX-License-Identifier: Apache-2.0
"""`auspex dry-run` and the real path give the same answer to the same words, whatever they are.

The model is fitted to the generated history, with this cluster's work folder in it, so that every
feature of a submission moves the answer: limits and medians are compared, not only yes and no.
"""
import json
import os
import random
import re
import subprocess
import sys
import unittest

from auspexd import program
from case import SlurmCase

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
COUNT = 200

# How often an option is there, and its ways: each a tuple of words.
OPTIONS = (
    (1.0, (('-p', 'cpu'), ('-p', 'gpu'), ('--partition=cpu',))),
    (0.8, (('-A', 'demo'), ('-A', 'bio'), ('--account', 'ml'), ('-A', 'nobody'))),
    (0.7, (('-J', 'blast-align'), ('--job-name', 'train-resnet'), ('-J', 'postproc'), ('-Jmd-prod',),
           ('--job-name=cfd-steady-12',))),
    (0.9, (('-t', '600'), ('--time=1-0',), ('-t', '48:00:00'), ('--time', '2-12'), ('-t1440',),
           ('--time=90:30',), ('-t', '7-00:00:00'), ('-t', '5'))),
    (0.5, (('-n', '4'), ('--ntasks=8',), ('-n2',), ('--ntasks-per-node=4',))),
    (0.4, (('-c', '4'), ('--cpus-per-task=2',))),
    (0.3, (('-N', '2'), ('--nodes=1-2',), ('-N1',))),
    (0.4, (('--mem=4G',), ('--mem', '2000'), ('--mem-per-cpu=1G',), ('--mem=0',),
           ('--mem-per-cpu', '512M'))),
    (0.4, (('--gres=gpu:1',), ('--gres', 'gpu:1g.5gb:2'), ('--gpus=2',), ('-G', '1'),
           ('--gpus-per-node=1',), ('--gpus-per-task=1',), ('--gres=gpu:2g.10gb:1',))),
    (0.2, (('--array=1-10',), ('-a', '0-99%5'))),
    (0.2, (('--exclusive',), ('-C', 'x'), ('--nice=10',), ('--requeue',), ('--begin=now+1hour',),
           ('-k',), ('--mincpus=3',), ('-s',), ('--export=NONE',), ('-d', 'singleton'),
           ('--mail-type=END',), ('-o', 'out.%j'), ('--comment=hello',))),
    (0.1, (('--time-min=5',), ('--signal=10@60',), ('--deadline=now+9days',))),
)


class DryRun(SlurmCase):
    cluster_options = {'cpus': 64, 'memory_mib': 500000}

    @classmethod
    def model(cls):
        base = cls.cluster.base
        path = f'{base}/trained.auspex'
        if os.path.exists(path):
            return path
        history = f'{base}/history.sacct'
        subprocess.run([sys.executable, f'{SOURCE}/packaging/demo/make_history.py', '--jobs', '10000',
                        '--workdir', f'{base}/work', '--out', history], check=True, timeout=120)
        subprocess.run([program('auspex'), 'train', '--network', 'mlp', '--jobs', history, '--format', 'sacct',
                        '--epochs', '3', '--out', path], check=True, timeout=300,
                       capture_output=True, stdin=subprocess.DEVNULL)
        return path

    def submission(self, dice):
        """Words for sbatch, some of them as #SBATCH lines of the script that they end with."""
        words, lines = [], []
        for share, ways in OPTIONS:
            if dice.random() < share:
                option = dice.choice(ways)
                if dice.random() < 0.25:
                    lines.append('#SBATCH ' + ' '.join(option))
                else:
                    words += option
        if dice.random() < 0.1:
            lines.append('#AUSPEX off')
        name = dice.choice(('job.sh', 'sweep.sh', 'run_17.sh'))
        script = '\n'.join(['#!/bin/sh', *lines, 'true', ''])
        with open(f'{self.cluster.base}/work/{name}', 'w', encoding='utf-8') as out:
            out.write(script)
        return [*words, name, 'argument'], script

    def test_random_submissions(self):
        dice = random.Random(1)
        compared = shortened = 0
        with self.deciding() as daemon:
            for _ in range(COUNT):
                words, script = self.submission(dice)
                real = self.cluster.client('sbatch', '--hold', *words, check=False)
                if real.job_id is None:  # Slurm did not want it; neither need the dry run
                    continue
                with self.subTest(words=words, script=script):
                    compared += 1
                    shortened += self.compare(real, daemon.auspex('dry-run', '--json', *words))
        self.assertGreater(compared, COUNT * 3 / 4)
        self.assertGreater(shortened, COUNT / 4)

    def compare(self, real, dry):
        said = json.loads(dry.stdout)
        limits = said['decision']['time_limit_min']
        if limits['asked'] is not None:
            self.assertEqual(limits['applied'], self.cluster.limit_min(real.job_id))
        told = [line for line in real.stderr.splitlines() if 'auspex' in line]
        message = said['decision']['message']
        self.assertEqual(told, [f'sbatch: {message}'] if message else [])
        audit = re.search(r' applied=(\d+) p50=(\d+) ',
                          self.cluster.job(real.job_id).get('AdminComment', ''))
        self.assertEqual(audit is not None, said['decision']['changed'])
        if audit is None:
            return False
        self.assertEqual(int(audit[1]), limits['applied'])
        # The audit's is rounded to a minute, the dry run's to a hundredth.
        self.assertAlmostEqual(int(audit[2]), said['prediction']['quantiles_min']['p50'], delta=0.51)
        return True


if __name__ == '__main__':
    unittest.main()

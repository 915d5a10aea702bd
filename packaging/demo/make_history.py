#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the job history of a small made-up site, as `sacct -P -o COLUMNS` would print it.

About thirty users in eight accounts over ninety days: a handful of applications each, submitted in
bursts and arrays, limits asked in round hours and far too long, GPU jobs on whole GPUs and on MIG
slices, failures, timeouts, cancelled and still pending jobs, lines of job steps. The account `demo`
runs what `make demo` submits: there root and two others ask 4 to 48 hours for jobs of minutes.

Equal --jobs and --seed give equal bytes.

    make_history.py --jobs 20000 --seed 1 --out history.sacct
"""
import argparse
import datetime
import math
import random
import sys

COLUMNS = ('JobID', 'User', 'UID', 'GID', 'Account', 'Partition', 'QOS', 'JobName', 'Submit',
           'Start', 'End', 'ElapsedRaw', 'TimelimitRaw', 'State', 'ReqCPUS', 'ReqNodes', 'ReqMem',
           'ReqTRES', 'WorkDir', 'SubmitLine')
FIRST_DAY = datetime.datetime(2025, 1, 6)
DAYS = 90
DEMO_SHARE = 0.12  # of all jobs; five in six of them are root's
CORES_PER_NODE = 32

# name, script, CPUs it may ask for, median runtime in minutes (low, high), spread of log(runtime)
CPU_APPLICATIONS = (
    ('vasp-relax', 'vasp.sh', (16, 32, 64), (60, 900), 0.35),
    ('gromacs-npt', 'gmx.sh', (8, 16, 32), (120, 1400), 0.25),
    ('blast-nr', 'blast.sh', (4, 8, 16), (10, 180), 0.5),
    ('wrf-run', 'wrf.sh', (64, 128), (180, 700), 0.2),
    ('openfoam', 'foam.sh', (16, 32), (40, 600), 0.6),
    ('mc-sweep', 'sweep.py', (1, 2), (3, 90), 0.45),
    ('rna-align', 'align.sh', (8, 16), (15, 120), 0.3),
    ('matlab-fit', 'fit.sh', (1, 4), (5, 240), 0.7),
    ('jupyter', 'notebook.sh', (2, 4), (30, 300), 0.9),
)
GPU_APPLICATIONS = (
    ('train-unet', 'train.sh', (8, 16), (60, 1200), 0.3),
    ('finetune-bert', 'finetune.sh', (4, 8), (30, 400), 0.35),
    ('infer-batch', 'infer.sh', (2, 4), (4, 60), 0.4),
    ('diffusion', 'diffusion.sh', (8, 16), (300, 2400), 0.25),
)
# gres of sbatch, and what sacct's ReqTRES makes of it
GPUS = (('gpu:a100:1', 'gres/gpu=1,gres/gpu:a100=1'), ('gpu:a100:2', 'gres/gpu=2,gres/gpu:a100=2'),
        ('gpu:1g.5gb:1', 'gres/gpu=1,gres/gpu:1g.5gb=1'),
        ('gpu:3g.20gb:1', 'gres/gpu=1,gres/gpu:3g.20gb=1'), ('gpu:1', 'gres/gpu=1'))
ACCOUNTS = ('astro', 'bio', 'chem', 'climate', 'materials', 'ml', 'physics')

# name, partition, CPUs, gres, median runtime in minutes
DEMO_APPLICATIONS = (
    ('blast-align', 'cpu', 1, None, 14),
    ('cfd-steady', 'cpu', 4, None, 20),
    ('md-prod', 'cpu', 1, None, 22),
    ('postproc', 'cpu', 1, None, 9),
    ('train-resnet', 'gpu', 1, GPUS[2], 17),
    ('train-resnet', 'gpu', 1, GPUS[0], 12),
)
DEMO_USERS = (('root', 0, 0),) * 10 + (('dana', 1000, 1000), ('eli', 1001, 1001))
DEMO_LIMITS_H = (4, 8, 12, 24, 48)


class Application:
    """What one user runs again and again: one request, one distribution of runtimes."""

    def __init__(self, dice, kind, partition):
        name, script, cpus, median_min, self.spread = kind
        self.name = f'{name}-{dice.choice("abcdefgh")}' if dice.random() < 0.6 else name
        self.script = script
        self.partition = partition
        self.cpus = dice.choice(cpus)
        self.median_min = math.exp(dice.uniform(*(math.log(bound) for bound in median_min)))
        self.gres = dice.choice(GPUS) if partition == 'gpu' else None
        self.memory_gib = self.cpus * dice.choice((1, 2, 4)) if dice.random() < 0.8 else None
        # People ask for a round number of hours that no job of theirs ever needed, mostly.
        wanted_h = self.median_min / 60 * dice.choice((1.3, 2, 4, 8, 16))
        self.limit_h = next((hours for hours in (1, 2, 4, 8, 12, 24, 48) if hours >= wanted_h), 72)


class User:
    def __init__(self, dice, index):
        self.name, self.uid, self.gid = f'user{index:02}', 2000 + index, 3000 + index % 7
        self.account = ACCOUNTS[index % len(ACCOUNTS)]
        gpu = self.account == 'ml' or dice.random() < 0.15
        kinds = GPU_APPLICATIONS if gpu else CPU_APPLICATIONS
        self.applications = [Application(dice, dice.choice(kinds), 'gpu' if gpu else 'cpu')
                             for _ in range(dice.randint(1, 4))]
        self.weight = dice.paretovariate(1.2)  # a few users submit most jobs


def working_time(dice):
    """A moment of the ninety days: working hours above all, weekends seldom."""
    while True:
        day = dice.randrange(DAYS)
        if day % 7 < 5 or dice.random() < 0.25:
            break
    hour = dice.triangular(7, 23, 14) if dice.random() < 0.9 else dice.uniform(0, 24)
    return FIRST_DAY + datetime.timedelta(days=day, hours=hour)


def outcome(dice, runtime_s, limit_s):
    """State and elapsed seconds of a job that would run so long."""
    fate = dice.random()
    if fate < 0.04:  # a bad input shows at once
        return 'FAILED', dice.randint(1, 90)
    if fate < 0.06:
        return 'CANCELLED', max(1, int(min(runtime_s, limit_s) * dice.random()))
    if fate < 0.07:
        return 'OUT_OF_MEMORY', max(1, int(min(runtime_s, limit_s) * dice.uniform(0.2, 0.9)))
    if runtime_s > limit_s:
        return 'TIMEOUT', limit_s + dice.randint(1, 30)
    return 'COMPLETED', max(1, int(runtime_s))


def stamp(time):
    return time.strftime('%Y-%m-%dT%H:%M:%S')


class Site:
    """Collects jobs; numbers them in the order of submission when they are written."""

    def __init__(self, dice):
        self.dice = dice
        self.jobs = []  # (submit time, rows without their job number)

    def add(self, fields, submit, runtime_s, suffixes):
        """One submission: a row for each array task, and the rows of its steps."""
        limit_s = fields['TimelimitRaw'] * 60
        rows = []
        for suffix in suffixes:
            row = dict(fields, Submit=stamp(submit))
            if self.dice.random() < 0.015:  # thought better of it
                end = submit + datetime.timedelta(seconds=self.dice.randint(5, 3000))
                row.update(Start='None', End=stamp(end), ElapsedRaw=0,
                           State=f'CANCELLED by {fields["UID"]}')
                rows.append((suffix, row))
                continue
            start = submit + datetime.timedelta(seconds=1 + int(self.dice.expovariate(1 / 1800)))
            state, elapsed_s = outcome(self.dice, runtime_s(), limit_s)
            end = start + datetime.timedelta(seconds=elapsed_s)
            shown = f'CANCELLED by {fields["UID"]}' if state == 'CANCELLED' else state
            if end >= FIRST_DAY + datetime.timedelta(days=DAYS):
                row.update(Start=stamp(start), End='Unknown', ElapsedRaw=elapsed_s, State='RUNNING')
                rows.append((suffix, row))
                continue
            row.update(Start=stamp(start), End=stamp(end), ElapsedRaw=elapsed_s, State=shown)
            rows.append((suffix, row))
            for step in ('batch', 'extern'):
                rows.append((f'{suffix}.{step}', {
                    'Account': row['Account'], 'JobName': step, 'Submit': row['Start'],
                    'Start': row['Start'], 'End': row['End'], 'ElapsedRaw': elapsed_s,
                    'State': state, 'ReqCPUS': row['ReqCPUS'], 'ReqNodes': row['ReqNodes']}))
        self.jobs.append((submit, rows))

    def lines(self):
        yield '|'.join(COLUMNS)
        for number, (_, rows) in enumerate(sorted(self.jobs, key=lambda job: job[0]), 1001):
            for suffix, row in rows:
                row['JobID'] = f'{number}{suffix}'
                yield '|'.join(str(row.get(column, '')) for column in COLUMNS)


def request(partition, cpus, gres, memory_gib, limit_h):
    """The columns that follow from what a submission asks for."""
    nodes = -(-cpus // CORES_PER_NODE)
    tres = [f'billing={cpus}', f'cpu={cpus}']
    if gres:
        tres.append(gres[1])
    if memory_gib:
        tres.append(f'mem={memory_gib}G')
    tres.append(f'node={nodes}')
    return {'Partition': partition, 'TimelimitRaw': limit_h * 60, 'ReqCPUS': cpus,
            'ReqNodes': nodes, 'ReqMem': f'{memory_gib}G' if memory_gib else '0',
            'ReqTRES': ','.join(tres)}


def submit_line(name, fields, limit_h, gres, memory_gib, array, script):
    line = f'sbatch -A {fields["Account"]} -p {fields["Partition"]} -J {name}'
    line += f' --time={limit_h}:00:00'
    if fields['ReqCPUS'] > 1:
        line += f' -n {fields["ReqCPUS"]}'
    if gres:
        line += f' --gres={gres[0]}'
    if memory_gib:
        line += f' --mem={memory_gib // fields["ReqNodes"]}G'
    if array > 1:
        line += f' --array=1-{array}'
    return f'{line} {script}'


def add_burst(site, dice, user, room):
    """A user comes and submits one application a few times; gives the number of jobs."""
    application = dice.choice(user.applications)
    wanted = min(room, 1 + int(dice.expovariate(1 / 6)))
    array = wanted if wanted > 3 and dice.random() < 0.3 else 1
    study = dice.randint(1, 5)
    # What a burst computes differs from the last one: its jobs are longer or shorter together.
    median_s = 60 * application.median_min * math.exp(dice.gauss(0, application.spread))
    fields = {'User': user.name, 'UID': user.uid, 'GID': user.gid, 'Account': user.account,
              'QOS': 'normal', 'WorkDir': f'/project/{user.account}/{user.name}/study{study}'}
    fields.update(request(application.partition, application.cpus, application.gres,
                          application.memory_gib, application.limit_h))
    submit = working_time(dice)
    for index in range(1 if array > 1 else wanted):
        name = f'{application.name}-{index}' if wanted > 1 and array == 1 else application.name
        line = submit_line(name, fields, application.limit_h, application.gres,
                           application.memory_gib, array, application.script)
        site.add(dict(fields, JobName=name, SubmitLine=line), submit,
                 lambda: median_s * math.exp(dice.gauss(0, application.spread / 3)),
                 [f'_{task}' for task in range(1, array + 1)] if array > 1 else [''])
        submit += datetime.timedelta(seconds=dice.randint(1, 20))
    return wanted


def add_demo_job(site, dice, workdir, room):
    name, partition, cpus, gres, median_min = dice.choice(DEMO_APPLICATIONS)
    user, uid, gid = dice.choice(DEMO_USERS)
    limit_h = dice.choice(DEMO_LIMITS_H)
    array = min(room, 20) if name == 'postproc' and dice.random() < 0.05 else 1
    fields = {'User': user, 'UID': uid, 'GID': gid, 'Account': 'demo', 'JobName': name,
              'WorkDir': workdir}
    fields.update(request(partition, cpus, gres, None, limit_h))
    fields['SubmitLine'] = submit_line(name, fields, limit_h, gres, None, array, 'job.sh')
    site.add(fields, working_time(dice), lambda: 60 * median_min * math.exp(dice.gauss(0, 0.12)),
             [f'_{task}' for task in range(1, array + 1)] if array > 1 else [''])
    return array


def make_history(job_count, seed, workdir):
    dice = random.Random(seed)
    site = Site(dice)
    demo_count = round(DEMO_SHARE * job_count)
    done = 0
    while done < demo_count:
        done += add_demo_job(site, dice, workdir, demo_count - done)
    users = [User(dice, index) for index in range(30)]
    weights = [user.weight for user in users]
    while done < job_count:
        done += add_burst(site, dice, dice.choices(users, weights)[0], job_count - done)
    return site.lines()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--jobs', type=int, default=20000, help='how many (default %(default)s)')
    parser.add_argument('--seed', type=int, default=1, help='(default %(default)s)')
    parser.add_argument('--workdir', default='/srv/demo/work',
                        help='of the jobs of account demo (default %(default)s)')
    parser.add_argument('--out', required=True, metavar='FILE')
    arguments = parser.parse_args()
    if arguments.jobs < 1:
        parser.error('--jobs must be positive')
    try:
        with open(arguments.out, 'w', encoding='utf-8') as out:
            lines = make_history(arguments.jobs, arguments.seed, arguments.workdir)
            out.writelines(line + '\n' for line in lines)
    except OSError as error:
        sys.exit(f'make_history.py: {error}')


if __name__ == '__main__':
    main()

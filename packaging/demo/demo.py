# SPDX-License-Identifier: Apache-2.0
"""make demo: Auspex on a private real Slurm cluster, from training to a daemon that dies.

Checks itself: ends with status 1 and says why when something did not come out as it should.
AUSPEX_HISTORY=FILE trains on a sacct file of your own instead of the generated history.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
import time

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
sys.path.insert(0, f'{SOURCE}/tests/slurm')
sys.dont_write_bytecode = True

from auspexd import Daemon, plugin, program  # noqa: E402
from cluster import Cluster, minutes  # noqa: E402
from processes import Interrupted, Timeout, wait_until  # noqa: E402

WIDTH = 96
SCRIPT = '#!/bin/sh\nsleep 600\n'
DEMO = ('-A', 'demo')
DAY_MIN = 24 * 60
ROUNDED_MIN = 5


class Unexpected(Exception):
    """Something did not come out as the demo says it does."""


def expect(condition, what):
    if not condition:
        raise Unexpected(what)


def say(text='', indent=0):
    pad = ' ' * indent
    print(textwrap.fill(text, WIDTH, initial_indent=pad, subsequent_indent=pad,
                        break_on_hyphens=False) if text else '')
    sys.stdout.flush()


def heading(number, text):
    print(f'\n{number}. {text}\n' + '-' * (len(text) + 3), flush=True)


def row(name, text, limit=5):
    """One line of a block: a name and what stands for it, broken to the terminal's width."""
    lines = textwrap.wrap(text, WIDTH - 14, break_on_hyphens=False) or ['-']
    if len(lines) > limit:
        lines = lines[:limit - 1] + [f'... ({len(text)} characters)']
    print(f'   {name:10} ' + ('\n' + ' ' * 14).join(lines))


def duration(limit_min):
    if limit_min is None:
        return 'none'
    limit_min = round(limit_min)
    days, rest = divmod(limit_min, 1440)
    return (f'{days}-' if days else '') + f'{rest // 60:02}:{rest % 60:02}:00'


def shown(words):
    """A command line as one would type it, long words cut, on one line."""
    def quoted(word):
        if len(word) > 60:
            return f'{word[:30]}[... {len(word) - 30} more]'
        if '\n' not in word:
            return shlex.quote(word)
        return "$'" + word.replace('\\', '\\\\').replace("'", "\\'").replace('\n', '\\n') + "'"
    return ' '.join(quoted(word) for word in words)


class Job:
    """One submission of the demo. change: shortened | same | default."""

    def __init__(self, title, options, change, script=SCRIPT, command='sbatch', check=None):
        self.title, self.options, self.change = title, options, change
        self.script, self.command, self.check = script, command, check

    def asked_min(self):
        for text in (*self.options, *self.script.split()):
            if text.startswith('--time='):
                return minutes(text[len('--time='):])
        return None


HOSTILE = 'two\nlines "quoted" \'tick\' $(true) ; Größe 東京 TimeLimit=1 \\'


def jobs():
    return [
        Job('Asked for a day; jobs of this name and user never took that long.',
            (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=1-00:00:00'), 'shortened'),
        Job('Another name, another answer: the prediction is made from the whole submission.',
            (*DEMO, '-p', 'cpu', '-J', 'cfd-steady', '-n', '4', '--time=2-00:00:00'), 'shortened'),
        Job('A GPU job that names a MIG slice: the slice is the user\'s wish and stays.',
            (*DEMO, '-p', 'gpu', '-J', 'train-resnet', '--gres=gpu:1g.5gb:1', '--time=2-00:00:00'),
            'shortened', check=lambda job: expect('1g.5gb' in job['TresPerNode'], 'the MIG slice')),
        Job('An array of 20 tasks is one decision, which all tasks share.',
            (*DEMO, '-p', 'cpu', '-J', 'postproc', '--array=1-20%2', '--time=1-00:00:00'), 'shortened'),
        Job('No limit asked: there is nothing to tighten, the partition\'s default holds.',
            (*DEMO, '-p', 'cpu', '-J', 'md-prod'), 'default'),
        Job('Opted out by a line in the script.',
            (*DEMO, '-p', 'cpu', '-J', 'blast-align'), 'same',
            script='#!/bin/sh\n#SBATCH --time=1-00:00:00\n#AUSPEX off\nsleep 600\n'),
        Job('With --time-min the user already deals with limits: left alone.',
            (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=1-00:00:00', '--time-min=06:00:00'),
            'same'),
        Job('srun is interactive: left alone.',
            (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=08:00:00', 'sh', '-c',
             'echo allocated: $SLURM_JOB_ID'), 'same', command='srun'),
        Job('salloc, too.',
            (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=08:00:00', 'true'), 'same',
            command='salloc'),
        Job('A hostile name: line ends, quotes, UTF-8, what looks like a limit.',
            (*DEMO, '-p', 'cpu', '-J', HOSTILE, '--time=1-00:00:00'), 'any'),
        Job('A name of 5,000 characters. Slurm takes 1,024; that it refuses more is not our doing.',
            (*DEMO, '-p', 'cpu', '-J', 'x' * 5000, '--time=1-00:00:00'), 'refused'),
        Job('The longest name that Slurm takes.',
            (*DEMO, '-p', 'cpu', '-J', 'x' * 1024, '--time=1-00:00:00'), 'any'),
    ]


class Demo:
    def __init__(self, cluster):
        self.cluster = cluster
        self.model = f'{cluster.base}/runtime.auspex'
        self.own_history = os.environ.get('AUSPEX_HISTORY')
        self.history = self.own_history or f'{cluster.base}/history.sacct'
        self.shortened = self.seen = 0

    def train(self):
        if not self.own_history:
            subprocess.run([sys.executable, f'{SOURCE}/packaging/demo/make_history.py',
                            '--jobs', '10000', '--workdir', f'{self.cluster.base}/work',
                            '--out', self.history], check=True, timeout=120,
                           stdin=subprocess.DEVNULL)
        say(f'auspex train, on {self.own_history or "a generated history of the site"}:')
        begin = time.monotonic()
        subprocess.run([program('auspex'), 'train', '--jobs', self.history, '--format', 'sacct',
                        '--out', self.model], check=True, timeout=3600, stdin=subprocess.DEVNULL)
        say(f'Trained in {time.monotonic() - begin:.1f} s.')

    def remember(self, daemon):
        """The daemon learns what each user's jobs did before: a prediction points at them."""
        fed = json.loads(daemon.auspex('feed', '--jobs', self.history, '--format', 'sacct', '--json',
                                       seconds=600).stdout)
        known = json.loads(daemon.auspex('status', '--json').stdout)['history']
        expect(known['jobs'] > 0, 'the daemon knows no past job')
        say(f'auspex feed tells it of the past: {fed["submissions"]} submissions; it now knows '
            f'{known["jobs"]} jobs of {known["users"]} users.')

    def words(self, job):
        """The command line after its first word; sbatch's script is put where it says."""
        if job.command != 'sbatch':
            return job.options
        with open(f'{self.cluster.base}/work/job.sh', 'w', encoding='utf-8') as out:
            out.write(job.script)
        return (*job.options, 'job.sh')

    def show(self, daemon, job):
        words = self.words(job)
        asked_before = job.command == 'sbatch' and job.change != 'refused'
        dry = daemon.dry_run(*words) if asked_before else None
        result = self.cluster.client(job.command, *words, check=False)
        print()
        say(job.title, indent=3)
        row('$', shown((job.command, *words)))
        if job.change == 'refused':
            expect(result.status != 0 and 'parameter too long' in result.stderr, 'Slurm\'s refusal')
            row('user saw', result.stderr.strip().replace('\n', ' '))
            return
        expect(result.status == 0, f'{job.command} failed: {result.stderr}')
        match = re.search(r'allocated: (\d+)', result.stdout)
        job_id = result.job_id or int(match[1])
        record = self.cluster.job(job_id)
        limit, audit = minutes(record['TimeLimit']), record.get('AdminComment', '')
        asked = job.asked_min()

        row('asked', duration(asked))
        row('predicted', self.prediction_text(dry))
        row('applied', 'unchanged' if limit == asked or job.change == 'default' else duration(limit))
        said = [line for line in (result.stderr + result.stdout).splitlines() if line.strip()]
        row('user saw', ' | '.join(said))
        row('scontrol', f'JobId={job_id} TimeLimit={record["TimeLimit"]} AdminComment={audit or "(none)"}')
        self.judge(job, dry, limit, audit, result)
        if job.check:
            job.check(record)

    @staticmethod
    def prediction_text(dry):
        if dry is None:
            return 'not asked for: nothing is changed'
        if not dry.get('prediction'):
            return 'none'
        points = dry['prediction']['quantiles_min']
        return f'half of such jobs end within {duration(points["p50"])}, 90 % within {duration(points["p90"])}'

    def judge(self, job, dry, limit, audit, result):
        asked = job.asked_min()
        self.seen += 1
        if job.change == 'shortened':
            # What a history of your own says of these names, nobody knows before.
            expect(limit < asked or self.own_history, f'{job.options[5]} was not shortened')
        if job.change == 'same':
            expect(limit == asked and not audit, f'a job that is not ours was changed: {job.title}')
        if job.change == 'default':
            expect(limit == 60 and not audit, 'a job without a limit was changed')
        if asked is not None and limit < asked:
            self.shortened += 1
            expect(f'applied={limit} ' in audit, f'no audit in the admin comment: {audit}')
            expect('auspex: time limit' in result.stderr, 'the user was told nothing')
        if dry is not None and asked is not None:
            answer = dry['decision']['time_limit_min']['applied']
            # Seconds lie between the two, and predictions know the time: one step of rounding.
            expect(abs(answer - limit) <= ROUNDED_MIN, f'dry run says {answer}, slurmctld has {limit}')

    def timed_submission(self):
        """Asks for a day, as jobs of this name did before: the seconds that sbatch took, the limit."""
        usual = Job('', (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=1-00:00:00'), 'shortened')
        result = self.cluster.client('sbatch', *self.words(usual), check=False)
        expect(result.status == 0, f'sbatch failed: {result.stderr}')
        return result.seconds, minutes(self.cluster.job(result.job_id)['TimeLimit'])

    def wait_for_daemon(self, daemon):
        def decides():
            self.timed_submission()
            return json.loads(daemon.auspex('status', '--json').stdout)['decisions']['total'] > 0
        wait_until(decides, 20, 'the plugin to find the daemon')


    @staticmethod
    def wait_for_guard(daemon):
        wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the guard to stand')

    def show_extension(self, daemon):
        usual = Job('', (*DEMO, '-p', 'cpu', '-J', 'blast-align', '--time=1-00:00:00'), 'shortened')
        job_id = self.cluster.client('sbatch', *self.words(usual)).job_id
        applied = minutes(self.cluster.job(job_id)['TimeLimit'])
        if applied == DAY_MIN:  # what a history of your own may say
            return say('This one kept its day: there is nothing to extend.')
        wait_until(lambda: minutes(self.cluster.job(job_id)['TimeLimit']) > applied, 60,
                   'the guard to extend a limit')
        wait_until(lambda: daemon.explain(job_id)['changes'], 30, 'the ledger to know it')
        print()
        row('$', f'auspex explain {job_id}')
        for line in daemon.auspex('explain', str(job_id)).stdout.decode().splitlines():
            name, _, text = line.partition('  ')
            row(name, text.strip())


def milliseconds(seconds):
    return ', '.join(f'{second * 1000:.0f}' for second in seconds) + ' ms'


def run(cluster):
    demo = Demo(cluster)
    heading(1, 'A real Slurm cluster')
    say(f'Slurm {cluster.version}: munged, slurmctld with JobSubmitPlugins=auspex, two slurmd; partitions cpu '
        f'and gpu, {"seven MIG slices" if cluster.mig else "GPUs by count (no root: no device nodes)"}; '
        'in a temporary directory, on the loopback only.')

    heading(2, 'A model of this site')
    demo.train()

    heading(3, 'What a job gets')
    say('auspexd runs in mode guarded: a job\'s limit becomes the predicted 90 % point when that is '
        'below what was asked, and is extended when it proves too short. Each job below goes through '
        'the real sbatch, srun or salloc.')
    settings = {'model': demo.model, 'mode': 'guarded'}
    with Daemon(cluster, **settings) as daemon:
        demo.wait_for_guard(daemon)
        # The first call has the deadline of production, two milliseconds; a busy machine may miss it.
        demo.remember(daemon)
        demo.wait_for_daemon(daemon)
        for job in jobs():
            demo.show(daemon, job)

        heading(4, 'The daemon dies')
        before = [demo.timed_submission() for _ in range(5)]
        # What a history of your own says of this name, nobody knows before.
        expect(demo.own_history or all(limit < DAY_MIN for _, limit in before),
               'the daemon no longer shortens')
        say(f'With auspexd, five sbatch take {milliseconds([s for s, _ in before])}; each gets '
            f'{duration(before[-1][1])} instead of a day.')
        daemon.kill()
        after = [demo.timed_submission() for _ in range(5)]
        expect(all(limit == DAY_MIN for _, limit in after), 'a job was changed with no daemon there')
        expect(cluster.slurmctld_alive(), 'slurmctld is gone')
        say(f'kill -9 auspexd, and at once five more: {milliseconds([s for s, _ in after])}; each keeps '
            'its day.')
        complaints = [line for line in cluster.slurmctld_log().splitlines()
                      if 'error: job_submit/auspex' in line]
        expect(complaints, 'slurmctld\'s log says nothing')
        row('slurmctld', re.sub(r'^\[[^]]*\] ', '', complaints[-1]))
        daemon.start()
        demo.wait_for_daemon(daemon)
        demo.wait_for_guard(daemon)
        say('auspexd started again: the plugin has found it, and limits are tightened as before.')

        heading(5, 'A job outlives its limit')
        say('The guard extends a limit five minutes before it expires. So that nobody has to wait '
            'here, it is told to do so ten hours before.')
        daemon.configure(**settings, guard={'lead_min': 600, 'interval_s': 2})
        daemon.reload()
        demo.show_extension(daemon)
    return demo


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--build', default=f'{SOURCE}/build/release', help='where the programs are')
    os.environ['AUSPEX_BUILD_DIR'] = os.path.abspath(parser.parse_args().build)
    begin = time.monotonic()
    base = '?'
    try:
        with Cluster(plugin=plugin(), cpus=64) as cluster:
            base = cluster.base
            demo = run(cluster)
    except Interrupted as signal:
        sys.exit(f'\ndemo: stopped by {signal}; everything it had started is ended')
    except (Unexpected, Timeout, subprocess.SubprocessError, RuntimeError) as problem:
        sys.exit(f'\ndemo: FAILED: {problem}')
    heading(6, 'The end')
    if os.path.exists(base):
        sys.exit(f'demo: FAILED: {base} is still there')
    say(f'{demo.seen} jobs decided, {demo.shortened} of them shortened, none lost. The cluster is ended, '
        f'its directory is gone, nothing is left running. {time.monotonic() - begin:.0f} s in all.')


if __name__ == '__main__':
    main()

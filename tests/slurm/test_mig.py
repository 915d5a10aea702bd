# SPDX-License-Identifier: Apache-2.0
"""A job that names its deep-learning model gets the slice that is enough: the model is read with the
user's own rights, beside the daemon, and the submission never waits for it."""
import getpass
import lzma
import os
import shutil
import signal
import unittest

from case import SlurmCase
from hanging import HangingFolder
from mounts import bind, take_own_mounts, unmount
from processes import Timeout, wait_until

SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..'))
RESNET = f'{SOURCE}/tests/graph/models/resnet50@224.onnx.xz'
GPU = ('-p', 'gpu', '-t', '60')
USER = 'games'


def script(*lines):
    return '\n'.join(['#!/bin/sh', *lines, 'true', ''])


class Mig(SlurmCase):
    cluster_options = {'cpus': 32, 'memory_mib': 32000}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.models = f'{cls.cluster.base}/models'
        os.mkdir(cls.models, 0o755)
        with lzma.open(RESNET) as packed:
            cls.resnet = packed.read()
        cls.write('resnet50.onnx', cls.resnet)

    @classmethod
    def write(cls, name, content):
        path = f'{cls.models}/{name}'
        with open(path + '.new', 'wb') as out:
            out.write(content)
        os.replace(path + '.new', path)
        return path

    def reading(self, mode, **more):
        settings = {'mode': mode, 'model_dirs': [self.models], 'partitions': {'gpu': 'a100-40gb'}, **more}
        daemon = self.enterContext(self.deciding(mig=settings))
        wait_until(lambda: daemon.status()['guard']['stands'], 30, 'the guard to tell of the site')
        return daemon

    def gres(self, job_id):
        return self.cluster.job(job_id).get('TresPerNode', '')

    def submit_script(self, *lines, options=(), check=True):
        result = self.cluster.sbatch('--hold', *GPU, *options, script=script(*lines), check=check)
        return result, self.gres(result.job_id)

    def wait_for(self, line, wanted, options=('--gres=gpu:1',), seconds=30):
        """The first submission of a model is let through; soon another one is advised."""
        seen = []
        def told():
            seen.append(self.submit_script(line, options=options))
            return wanted in seen[-1][0].stderr
        try:
            wait_until(told, seconds, repr(wanted))
        except Timeout:
            self.assertIn(wanted, seen[-1][0].stderr)
        return seen

    def test_apply_asks_for_the_slice_that_is_enough(self):
        daemon = self.reading('apply')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=32 mode=training'
        seen = self.wait_for(line, 'resnet50.onnx needs about')
        first, gres = seen[0]
        self.assertNotIn('auspex', first.stderr)
        self.assertRegex(gres, r'^gres[:/]gpu:1$')
        result, gres = seen[-1]
        self.assertRegex(gres, r'^gres[:/]gpu:2g\.10gb:1$')
        self.assertRegex(result.stderr, r'of the 9\.8 GiB of a 2g\.10gb: gpu:1 -> gpu:2g\.10gb:1')
        self.assertRegex(self.cluster.job(result.job_id)['AdminComment'],
                         r'^auspex-mig:1 asked=gres[:/]gpu:1 applied=gres[:/]gpu:2g\.10gb:1 memory=\d+$')
        # The same words, asked beforehand.
        said = daemon.dry_run(*GPU, '--gres=gpu:1', self.script_file(line))
        self.assertEqual(said['slice'], {'why': 'applied', 'type': '2g.10gb'})
        self.assertRegex(said['decision']['gres']['applied'], r'^gres[:/]gpu:2g\.10gb:1$')
        self.assertEqual(said['dippm']['mig_profile'], '2g.10gb')
        self.assertEqual(said['decision']['message'], result.stderr.strip().removeprefix('sbatch: '))
        self.assert_explained(daemon, result.job_id)
        # A batch of one fits the smallest slice, and its step is the host's: no more compute.
        small = self.wait_for(f'#AUSPEX model={self.models}/resnet50.onnx batch=1 mode=inference', '1g.5gb')
        self.assertRegex(small[-1][1], r'^gres[:/]gpu:1g\.5gb:1$')

    def assert_explained(self, daemon, job_id):
        def from_ledger():
            story = daemon.explain(job_id)
            return story if story['source'] == 'ledger' else None
        said = wait_until(from_ledger, 30, 'the ledger to know the job')['slice']
        memory, upper = said.pop('memory_mib'), said.pop('memory_upper_mib')
        self.assertEqual(said, {'why': 'applied', 'type': '2g.10gb', 'profile': '2g.10gb',
                                'card': 'a100-40gb', 'headroom': 0.1})
        self.assertTrue(4000 < memory < upper < 9.8 * 1024, (memory, upper))
        text = daemon.auspex('explain', str(job_id)).stdout.decode()
        self.assertIn('2g.10gb of a100-40gb: the smallest slice that fits', text)
        self.assertIn(f'{memory:.0f} MiB, at most {upper:.0f}; 10 % more is to stay free', text)

    def script_file(self, *lines):
        path = f'{self.cluster.base}/work/mig.sh'
        with open(path, 'w', encoding='utf-8') as out:
            out.write(script(*lines))
        return 'mig.sh'

    def test_the_slice_runs(self):
        self.reading('apply')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=1 mode=inference'
        self.wait_for(line, '1g.5gb')
        self.cluster.cancel_all()
        # A busy machine may answer a check too late: then the job goes as it asks.
        done = self.cluster.sbatch(*GPU, '--gres=gpu:1', script=script(line))
        wait_until(lambda: self.cluster.job(done.job_id)['JobState'] == 'COMPLETED', 60, 'the job')
        self.assertIn('gpu', self.gres(done.job_id))

    def test_advise_only_tells(self):
        self.reading('advise')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=32'
        result, gres = self.wait_for(line, 'resnet50.onnx needs about')[-1]
        self.assertIn('--gres=gpu:2g.10gb:1 would do', result.stderr)
        self.assertRegex(gres, r'^gres[:/]gpu:1$')
        self.assertNotIn('auspex-mig', self.cluster.job(result.job_id).get('AdminComment', ''))

    def test_what_the_user_has_chosen_stays(self):
        self.reading('apply')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=32'
        self.wait_for(line, 'resnet50.onnx needs about')
        for gres in ('gpu:1g.5gb:1', 'gpu:7g.40gb:1', 'gpu:2'):
            with self.subTest(gres=gres):
                result, got = self.submit_script(line, options=(f'--gres={gres}',))
                self.assertRegex(got, f'^gres[:/]{gres}$')
                self.assertNotIn('needs about', result.stderr)
        result, got = self.submit_script('#AUSPEX off', line, options=('--gres=gpu:1',))
        self.assertRegex(got, r'^gres[:/]gpu:1$')

    def test_a_file_that_has_changed_is_read_anew(self):
        self.reading('apply')
        path = self.write('changing.onnx', self.resnet)
        line = f'#AUSPEX model={path} batch=32'
        self.wait_for(line, 'changing.onnx needs about')
        self.write('changing.onnx', b'no model any more')
        result, gres = self.submit_script(line, options=('--gres=gpu:1',))
        self.assertNotIn('needs about', result.stderr)
        self.assertRegex(gres, r'^gres[:/]gpu:1$')
        self.wait_for(line, 'changing.onnx: no advice: not an ONNX model')

    def test_a_reader_that_ends_is_started_again(self):
        daemon = self.reading('advise')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=32'
        self.wait_for(line, 'resnet50.onnx needs about')
        os.kill(self.reader_of(daemon), 9)
        self.submit_script(line, options=('--gres=gpu:1',))
        wait_until(lambda: daemon.status()['models'] and daemon.status()['models']['restarts'] == 1, 30,
                   'the end to be seen')
        self.wait_for(line, 'resnet50.onnx needs about')

    def test_a_reader_that_hangs_holds_nobody_up(self):
        daemon = self.reading('advise')
        line = f'#AUSPEX model={self.models}/resnet50.onnx batch=32'
        self.wait_for(line, 'resnet50.onnx needs about')
        os.kill(self.reader_of(daemon), signal.SIGSTOP)
        before = daemon.status()
        for _ in range(5):
            result, gres = self.submit_script(line, options=('--gres=gpu:1',))
            self.assertNotIn('needs about', result.stderr)
            self.assertRegex(gres, r'^gres[:/]gpu:1$')
        after = daemon.status()
        self.assertEqual(after['models']['late'] - before['models']['late'], 5)
        self.assertEqual(after['fallbacks'], before['fallbacks'])
        wait_until(lambda: daemon.status()['models']['restarts'] == 1, 30, 'the reader to be given up')
        self.assertIn('the program that reads them does not answer', daemon.log())
        self.wait_for(line, 'resnet50.onnx needs about')

    @unittest.skipUnless(getpass.getuser() == 'root', 'mounts, and needs several users')
    def test_a_file_system_that_hangs_is_told_and_holds_up_nobody_else(self):
        far = self.enterContext(HangingFolder(f'{self.cluster.base}/far-1', {'far.onnx': self.resnet}))
        daemon = self.reading('advise', model_dirs=[self.models, far.path])
        reader = self.reader_of(daemon)
        line = f'#AUSPEX model={far.path}/far.onnx batch=32'
        near = f'#AUSPEX model={self.models}/resnet50.onnx batch=32'
        self.wait_for(line, 'far.onnx needs about')
        far.hang()
        before = daemon.status()
        self.wait_for(line, 'far.onnx: no advice: its file system does not answer')
        self.assertEqual(far.waiting, 1)
        # It waits in the kernel, killed, and does not go: more of the same user would, too.
        self.wait_for(near, 'no advice: the file system of an earlier model does not answer')
        self.as_user_wait_for(near, 'resnet50.onnx needs about')
        after = daemon.status()
        self.assertEqual(after['fallbacks'], before['fallbacks'])
        self.assertEqual((after['models']['restarts'], self.reader_of(daemon)), (0, reader))
        far.answer()
        self.wait_for(line, 'far.onnx needs about')
        self.wait_for(near, 'resnet50.onnx needs about')

    @unittest.skipUnless(getpass.getuser() == 'root', 'mounts, and needs several users')
    def test_a_file_that_cannot_be_read_to_its_end_is_given_up(self):
        far = self.enterContext(HangingFolder(f'{self.cluster.base}/far-2', {'far.onnx': self.resnet}))
        far.hang('read')
        daemon = self.reading('advise', model_dirs=[self.models, far.path])
        line = f'#AUSPEX model={far.path}/far.onnx batch=32'
        before = daemon.status()
        for words in (line, f'#AUSPEX model={far.path}/far.onnx batch=16'):
            self.submit_script(words, options=('--gres=gpu:1',))
        wait_until(lambda: far.waiting, 30, 'the file to be read')
        # Another user's is read meanwhile, however many of this one's wait.
        self.as_user_wait_for(f'#AUSPEX model={self.models}/resnet50.onnx batch=3', 'resnet50.onnx needs about')
        result, _ = self.submit_script(line, options=('--gres=gpu:1',))
        self.assertNotIn('no advice', result.stderr)
        self.wait_for(line, 'far.onnx: no advice: reading it took more than 20 s', seconds=60)
        after = daemon.status()
        self.assertEqual(after['fallbacks'], before['fallbacks'])
        self.assertEqual(after['models']['restarts'], 0)
        # It ends at once, whoever still waits.
        self.assertEqual(daemon.stop(), 0)

    @staticmethod
    def reader_of(daemon):
        with open(f'/proc/{daemon.pid}/task/{daemon.pid}/children', encoding='ascii') as children:
            for pid in children.read().split():
                with open(f'/proc/{pid}/comm', encoding='ascii') as name:
                    if name.read().strip() == 'auspex-models':
                        return int(pid)
        raise AssertionError('there is no auspex-models')

    @unittest.skipUnless(getpass.getuser() == 'root', 'needs several users')
    def test_what_the_user_may_not_read_is_not_read(self):
        self.reading('advise')
        secret = self.write('secret.onnx', self.resnet)
        os.chmod(secret, 0o600)
        line = f'#AUSPEX model={secret} batch=32'
        self.wait_for(line, 'secret.onnx needs about')  # root's own
        self.as_user_wait_for(line, 'secret.onnx: no advice: Permission denied')
        shutil.chown(secret, USER)
        self.as_user_wait_for(line, 'secret.onnx needs about')

    @unittest.skipUnless(getpass.getuser() == 'root', 'mounts, and needs several users')
    def test_what_only_a_group_of_the_user_may_reach_is_advised(self):
        group = 59999
        with open('/etc/group', encoding='utf-8') as known:
            groups = known.read() + f'project:x:{group}:{USER}\n'
        with open(f'{self.cluster.base}/group', 'w', encoding='utf-8') as out:
            out.write(groups)
        take_own_mounts()
        bind(f'{self.cluster.base}/group', '/etc/group')
        self.addCleanup(unmount, '/etc/group')
        os.mkdir(f'{self.models}/project')
        path = self.write('project/shared.onnx', self.resnet)
        os.chown(f'{self.models}/project', 0, group)
        os.chmod(f'{self.models}/project', 0o750)
        self.reading('advise')
        self.as_user_wait_for(f'#AUSPEX model={path} batch=32', 'shared.onnx needs about')

    def as_user_wait_for(self, line, wanted):
        text = script(line)
        seen = []
        def told():
            said = self.cluster.client('setpriv', f'--reuid={USER}', '--regid=60', '--clear-groups', 'sbatch',
                                       '--hold', '-D', '/tmp', *GPU, '--gres=gpu:1', stdin=text.encode())
            seen.append(said.stderr)
            return wanted in said.stderr
        wait_until(told, 40, f'{wanted!r}')
        self.cluster.client('scancel', '-u', USER)

    def test_strange_files_get_a_reason(self):
        daemon = self.reading('advise')
        outside = f'{self.cluster.base}/outside.onnx'
        with open(outside, 'wb') as out:
            out.write(self.resnet)
        os.symlink(outside, f'{self.models}/way-out.onnx')
        os.symlink('resnet50.onnx', f'{self.models}/inside.onnx')
        os.mkfifo(f'{self.models}/pipe.onnx')
        self.write('text.onnx', b'#!/bin/sh\necho hello\n')
        self.write('cut.onnx', self.resnet[:len(self.resnet) // 2])
        for name, wanted in {
                'inside.onnx': 'inside.onnx needs about',
                'way-out.onnx': 'way-out.onnx: no advice: it lies outside mig.model_dirs',
                'pipe.onnx': 'pipe.onnx: no advice: it is a pipe',
                '': 'no advice: it is a folder',
                'text.onnx': 'text.onnx: no advice: not an ONNX model',
                'cut.onnx': 'cut.onnx: no advice: not an ONNX model',
                '/dev/zero': 'zero: no advice: it is no regular file',
                'missing.onnx': 'missing.onnx: no advice: No such file or directory'}.items():
            with self.subTest(name=name):
                self.wait_for(f'#AUSPEX model={os.path.join(self.models, name)} batch=2', wanted)
        for words, wanted in {'batch=2 input=3y4': "input: '3y4' is no shape such as 3x224x224",
                              'batch=2 mode=fast': 'mode=fast is none of inference graph training',
                              'batch=2000000': 'batch=2000000 is not from 1 to',
                              '': 'batch=N is not said'}.items():
            with self.subTest(words=words):
                self.wait_for(f'#AUSPEX model={self.models}/resnet50.onnx {words}', f'no advice: {wanted}')
        self.assertEqual(daemon.status()['models']['restarts'], 0)
        self.assertTrue(daemon.alive())


if __name__ == '__main__':
    unittest.main()

# SPDX-License-Identifier: Apache-2.0
"""Everything goes wrong during 10,000 submissions from 8 clients: none is refused or lost, and each
is accounted for by what became of its question."""
import concurrent.futures
import contextlib
import json
import os
import random
import subprocess
import threading
import unittest

from auspexd import program
from case import SlurmCase
from processes import wait_until

COUNT, CLIENTS = 10_000, 8


class Chaos(SlurmCase):
    cluster_options = {'conf': 'MaxJobCount=200000\n'}

    def load(self, count):
        done = subprocess.run(
            [program('submit_jobs'), '--count', str(count), '--threads', str(CLIENTS), '--held',
             '--time', '1440', '--partition', 'cpu'], timeout=600, capture_output=True,
            env=self.cluster.environment, check=False)
        return json.loads(done.stdout)

    def load_until(self, over):
        """COUNT submissions, and more until all faults have been there."""
        all_of_it = {'submitted': 0, 'failed': 0, 'ids': []}
        while all_of_it['submitted'] < COUNT or not over.is_set():
            report = self.load(COUNT // 10)
            for key in all_of_it:
                all_of_it[key] += report[key]
            if report['failed']:
                break
        return all_of_it

    @contextlib.contextmanager
    def small_disk(self):
        """A folder with room for little, or None where no file system may be mounted."""
        path = f'{self.cluster.base}/small'
        os.makedirs(path, exist_ok=True)
        mounted = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', path],
                                 capture_output=True, check=False, timeout=30).returncode == 0
        if not mounted:
            print('no file system may be mounted here: the disk is not filled')
        try:
            yield path
        finally:
            if mounted:
                subprocess.run(['umount', '-l', path], check=False, timeout=30)

    def faults(self, daemon, model):
        """Each is over when it returns; the daemon may be in any state of repair."""
        def kill():
            daemon.kill()
            daemon.start()

        def stop_and_continue():
            daemon.pause()
            wait_until(lambda: self.submitted() > self.seen + COUNT // 50, 60, 'submissions meanwhile')
            daemon.resume()

        def remove_socket():
            os.unlink(self.cluster.socket_path)
            kill()

        def garbage_model():
            before = len(daemon.log())
            with open(model, 'rb') as good:
                bytes_of_it = good.read()
            with open(model, 'wb') as bad:
                bad.write(b'\0garbage' * 1000)
            daemon.reload()
            wait_until(lambda: 'refused' in daemon.log()[before:], 60, 'the refusal')
            with open(model, 'wb') as good:
                good.write(bytes_of_it)

        def broken_yaml():
            before = len(daemon.log())
            with open(daemon.config, encoding='utf-8') as config:
                good = config.read()
            daemon.write_config('mode: [hard\n')
            daemon.reload()
            wait_until(lambda: 'refused' in daemon.log()[before:], 60, 'the refusal')
            daemon.write_config(good)
            daemon.reload()

        def full_disk():
            with contextlib.suppress(OSError), open(f'{self.disk}/filler', 'wb') as filler:
                while True:
                    filler.write(b'x' * 4096)
                    filler.flush()
        return [kill, stop_and_continue, remove_socket, garbage_model, broken_yaml, full_disk]

    def submitted(self):
        said = self.cluster.client('sdiag').stdout
        return int(said.split('Jobs submitted:')[1].split()[0])

    def test_no_submission_suffers(self):
        pid = self.cluster.slurmctld_pid
        model = f'{self.cluster.base}/replaceable.auspex'
        with open(self.model(), 'rb') as good, open(model, 'wb') as copy:
            copy.write(good.read())
        with self.small_disk() as self.disk, self.deciding(
                model=model, deadline_us=2000, history={'state': f'{self.disk}/history.state'},
                ledger={'path': f'{self.disk}/ledger.db'}) as daemon:
            over = threading.Event()
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                load = pool.submit(self.load_until, over)
                try:
                    faults = self.faults(daemon, model)
                    random.shuffle(faults)
                    for fault in faults:
                        print(fault.__name__)
                        self.seen = self.submitted()
                        fault()
                finally:
                    over.set()
                report = load.result()
            self.assertEqual(report['failed'], 0)
            self.assertGreaterEqual(report['submitted'], COUNT)
            daemon.kill()
            daemon.start()
            jobs = self.cluster.jobs()
            self.assertLessEqual(set(report['ids']), set(jobs))
            for job_id in report['ids']:
                decided = jobs[job_id]['admin_comment'].startswith('auspex:1 asked=1440 ')
                self.assertEqual(decided, jobs[job_id]['time_limit'] < 1440)
            self.wait_until_shortened()
            # The last answer is counted once it was given.
            status = daemon.status()
            told = status['answered'] + sum(status['fallbacks'].values())
            print(f'answered {status["answered"]}, {status["fallbacks"]}')
            self.assertEqual(told, self.submitted() - 1)
        self.assert_same_slurmctld(pid)

    def test_slurmctld_restarts_under_load(self):
        with self.deciding() as daemon:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                load = pool.submit(self.load, 1000)
                seen = self.submitted()
                wait_until(lambda: load.done() or self.submitted() > seen + 200, 60, 'some submissions')
                self.cluster.stop_slurmctld()
                self.cluster.start_slurmctld()
                report = load.result()
            # Whom it turned away, it turned away; whom it took is there, decided or as it was.
            self.assertGreater(report['submitted'], 200)
            jobs = self.cluster.jobs()
            self.assertLessEqual(set(report['ids']), set(jobs))
            self.wait_until_shortened()
            wait_until(lambda: daemon.status()['guard']['stands'], 60, 'the guard to stand')


if __name__ == '__main__':
    unittest.main()

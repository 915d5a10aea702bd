# SPDX-License-Identifier: Apache-2.0
"""The real auspexd beside a private cluster, and every way to make it fail."""
import getpass
import json
import os
import signal
import subprocess

from cluster import as_user
from processes import wait_until


def build_dir():
    """Where the programs are: AUSPEX_BUILD_DIR, else build/release of this tree."""
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get('AUSPEX_BUILD_DIR') or os.path.join(here, '..', '..', 'build', 'release')


def program(name):
    return os.path.join(build_dir(), 'bin', name)


def plugin():
    return os.path.join(build_dir(), 'lib', 'job_submit_auspex.so')


def yaml_of(settings):
    """JSON is YAML: one key a line is enough to read and to point at in an error."""
    return ''.join(f'{key}: {json.dumps(value)}\n' for key, value in settings.items())


class Daemon:
    """
    Starts in the cluster's directory and ends with it (its process is one of the cluster's).
    settings: keys of auspex.yaml; the socket and the user of slurmctld are filled in.
    user: whose process it is; ours unless told.
    """

    def __init__(self, cluster, user=None, **settings):
        self._cluster, self._user = cluster, user or getpass.getuser()
        self.config = f'{cluster.base}/auspex.yaml'
        self.ledger = f'{cluster.base}/ledger.db'
        self.configure(**settings)

    def configure(self, **settings):
        """Writes auspex.yaml anew; a running daemon sees it after reload()."""
        # The longest that the plugin accepts: the machine may be busy with other tests.
        base = {'socket': self._cluster.socket_path, 'slurm_user': self._cluster.user,
                'deadline_us': 100000,
                'history': {'state': f'{self._cluster.base}/history.state'},
                'ledger': {'path': self.ledger}}
        self.write_config(yaml_of({**base, **settings}))

    def write_config(self, text):
        temporary = self.config + '.new'
        with open(temporary, 'w', encoding='utf-8') as out:
            out.write(text)
        os.replace(temporary, self.config)

    def start(self):
        self._cluster.start_beside('auspexd', [*as_user(self._user), program('auspexd'), '--config',
                                               self.config])
        wait_until(self._answers_or_ended, 30, 'auspexd to answer')
        if not self.alive():
            raise RuntimeError('auspexd ended; its log is above')
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.resume()
        self.stop()

    def _answers_or_ended(self):
        return not self.alive() or self.answers()

    def answers(self):
        return self.auspex('status', check=False).returncode == 0

    def alive(self):
        return self._cluster.processes.alive('auspexd')

    @property
    def pid(self):
        return self._cluster.processes['auspexd'].pid

    def stop(self):
        return self._cluster.processes.stop('auspexd')

    def kill(self):
        """As a crash: no farewell, the socket's file stays behind."""
        self._signal(signal.SIGKILL)
        self._cluster.processes.stop('auspexd')

    def pause(self):
        self._signal(signal.SIGSTOP)
        wait_until(lambda: self._state() == 'T', 10, 'auspexd to stop')

    def resume(self):
        self._signal(signal.SIGCONT)

    def reload(self):
        self._signal(signal.SIGHUP)

    def _signal(self, number):
        if self.alive():
            os.kill(self.pid, number)

    def _state(self):
        with open(f'/proc/{self.pid}/stat', 'rb') as stat:
            return stat.read().rpartition(b')')[2].split()[0].decode()

    def log(self):
        with open(f'{self._cluster.base}/log/auspexd.out', encoding='utf-8', errors='replace') as log:
            return log.read()

    def auspex(self, command, *argv, check=True, stdin=b'', seconds=60):
        """The `auspex` program with this daemon's configuration."""
        return subprocess.run([program('auspex'), command, '--config', self.config, *argv],
                              input=stdin, capture_output=True, timeout=seconds, check=check,
                              cwd=f'{self._cluster.base}/work', env=self._cluster.environment)

    def status(self):
        return json.loads(self.auspex('status', '--json').stdout)

    def explain(self, job_id):
        return json.loads(self.auspex('explain', '--json', str(job_id)).stdout)

    def dry_run(self, *options):
        """What `auspex dry-run --json` says of the same words that sbatch gets."""
        if '--wrap' not in options and not options[-1].endswith('.sh'):
            options = (*options, '--wrap', 'true')
        return json.loads(self.auspex('dry-run', '--json', *options).stdout)

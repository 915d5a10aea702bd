# SPDX-License-Identifier: Apache-2.0
"""A private real Slurm cluster: munged, slurmctld and slurmd under one temporary directory.

    with Cluster(plugin='build/release/lib/job_submit_auspex.so') as cluster:
        job = cluster.sbatch('-t', '60', wrap='true')

Own munge key, own ports on the loopback, own SLURM_CONF; nothing under /etc is read or written, and
several clusters run side by side. As root, jobs of any user run; as another user, that user's.
On the way out every process is ended and the directory removed; after a failure the ends of the
logs are printed first.
"""
import atexit
import contextlib
import getpass
import glob
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

from accounting import Accounting
from loopback import free_port, take_loopback_name
from processes import Processes, Timeout, adopt_orphans, print_tail, signals_held, wait_until
from slurm_conf import CONF, MIG_TYPES, PARTITIONS, SCHEDULER

CLIENT_SECONDS = 60  # no client call may take longer; some do hang when a daemon is gone

class Result:
    """What a client call left: status, stdout, stderr (texts), seconds and, for sbatch, job_id."""

    def __init__(self, status, stdout, stderr, seconds):
        self.status, self.seconds = status, seconds
        self.stdout = stdout.decode('utf-8', 'backslashreplace')
        self.stderr = stderr.decode('utf-8', 'backslashreplace')
        said = re.search(r'(?:Submitted batch job|Granted job allocation) (\d+)',
                         self.stdout + self.stderr)
        self.job_id = int(said[1]) if said else None


def slurm_plugin_dir():
    for pattern in ('/usr/lib/*/slurm-wlm', '/usr/lib/*/slurm', '/usr/lib64/slurm', '/usr/lib/slurm'):
        for path in glob.glob(pattern):
            if os.path.exists(f'{path}/select_cons_tres.so'):
                return path
    raise RuntimeError('no Slurm plugins under /usr/lib: install packaging/packages.txt')


def as_user(name):
    """Words in front of a command that is to run as this user."""
    if name == getpass.getuser():
        return []
    return ['setpriv', f'--reuid={name}', f'--regid={name}', '--clear-groups']


def slurm_version():
    """As a text, "22.05.8"."""
    said = subprocess.run(['/usr/sbin/slurmctld', '-V'], capture_output=True, timeout=CLIENT_SECONDS,
                          check=True, text=True).stdout
    return re.search(r'\d+\.\d+\.\d+', said)[0]


class Cluster:
    """
    plugin        path of job_submit_auspex.so, or None for a cluster without it
    nodes         how many nodes have a slurmd; n2 has the GPU slices
    cpus          of each node, whatever the machine has
    node_lines, partitions, conf   text for slurm.conf, replacing or (conf) adding to ours
    fake_nodes    slurm.conf text of nodes that never have a slurmd: jobs for them stay pending
    scheduler     SchedulerParameters
    priority      basic | multifactor
    accounting    with MariaDB and slurmdbd
    user          SlurmUser; ours unless told
    """

    def __init__(self, plugin=None, nodes=2, cpus=8, memory_mib=16000, node_lines=None,
                 partitions=None, conf='', fake_nodes='', scheduler=SCHEDULER, priority='basic',
                 keep_logs_of=(), accounting=False, user=None):
        adopt_orphans()
        self._plugin = os.path.abspath(plugin) if plugin else None
        self.node_names = [f'n{index + 1}' for index in range(nodes)]
        self._cpus, self._memory_mib = cpus, memory_mib
        self._node_lines, self._partitions = node_lines, partitions
        self._conf, self._fake_nodes = conf, fake_nodes
        self._scheduler, self._priority = scheduler, priority
        self.logs = list(keep_logs_of)
        self.version = slurm_version()
        self._with_accounting, self.accounting = accounting, None
        self.user = user or getpass.getuser()
        self.base = self.processes = None
        self.mig = False

    # --- life

    def __enter__(self):
        atexit.register(self.close)
        try:
            # A port that was free a moment ago may be taken when our daemon wants it.
            for attempt in range(3):
                self._prepare()
                try:
                    self._boot()
                    break
                except Timeout:
                    if attempt == 2 or not self._port_was_taken():
                        raise
                    self.close()
        except BaseException:
            self.print_logs()
            self.close()
            raise
        return self

    def _port_was_taken(self):
        return any('Address already in use' in open(log, errors='replace').read() for log in self.logs)

    def __exit__(self, kind, _value, _trace):
        if kind is not None and not issubclass(kind, KeyboardInterrupt):
            self.print_logs()
        self.close()

    def close(self):
        """Ends all and removes the directory. Harmless when called again."""
        with signals_held():
            if self.processes is not None:
                self.processes.stop_all()
                self.processes = None
            if self.base is not None:
                shutil.rmtree(self.base, ignore_errors=True)
                self.base = None
        atexit.unregister(self.close)

    def _prepare(self):
        # Sockets live in it: their paths must stay under 108 bytes. Munge wants every folder
        # above its socket to be closed to other users' writes, which /tmp is by its sticky bit.
        self.base = tempfile.mkdtemp(prefix='auspex-', dir='/tmp')
        os.chmod(self.base, 0o755)
        for folder in ('run', 'log', 'state', 'auspex', 'plugins', 'dev', 'work'):
            os.mkdir(f'{self.base}/{folder}', 0o755)
        for folder in ('log', 'state'):  # munged wants the one with its socket to be its own
            shutil.chown(f'{self.base}/{folder}', self.user)
        self.socket_path = f'{self.base}/auspex/auspex.sock'
        self.environment = {
            **{name: value for name, value in os.environ.items()
               if not name.startswith(('SLURM', 'SBATCH', 'SALLOC', 'SRUN', 'AUSPEX'))},
            'SLURM_CONF': f'{self.base}/slurm.conf', 'LC_ALL': 'C.UTF-8'}
        self.processes = Processes(f'SLURM_CONF={self.base}/slurm.conf')
        plugin_dir = slurm_plugin_dir()
        conf = CONF
        if take_loopback_name():
            conf += 'CommunicationParameters=NoInAddrAny,NoCtldInAddrAny\n'
        if self._plugin:
            shutil.copy(self._plugin, f'{self.base}/plugins/job_submit_auspex.so')
            plugin_dir = f'{self.base}/plugins:{plugin_dir}'
            conf += 'JobSubmitPlugins=auspex\n'
        ports = {free_port() for _ in range(len(self.node_names) + 1)}
        while len(ports) <= len(self.node_names):
            ports.add(free_port())
        port, *node_ports = ports
        if self._with_accounting:
            self.accounting = Accounting(self.base, self.user)
            conf += self.accounting.conf
        text = conf.format(base=self.base, port=port, user=self.user, root=getpass.getuser(), plugin_dir=plugin_dir,
                           priority=self._priority, scheduler=self._scheduler)
        text += self._node_lines or self._real_nodes(node_ports)
        self._write('slurm.conf', text + self._fake_nodes + (self._partitions or PARTITIONS) + self._conf)
        self._write('plugstack.conf', '')
        # slurmd dies where there are no cgroups, unless told so; 22.05 does not know that word,
        # but its v1 plugin looks at nothing until a job asks for it.
        word = 'disabled' if self.version >= '23.02' else 'cgroup/v1'
        self._write('cgroup.conf', f'CgroupPlugin={word}\n')

    def _real_nodes(self, ports):
        lines, gres = '', ['AutoDetect=off']
        for name, port in zip(self.node_names, ports):
            lines += (f'NodeName={name} NodeHostname=localhost NodeAddr=127.0.0.1 Port={port} '
                      f'CPUs={self._cpus} RealMemory={self._memory_mib}')
            if name == 'n2':
                lines += ' Gres=' + ','.join(f'gpu:{kind}:{count}' for kind, count in MIG_TYPES.items())
                gres += self._mig_lines(name)
            lines += ' State=UNKNOWN\n'
        self._write('gres.conf', '\n'.join(gres) + '\n')
        return lines

    def _mig_lines(self, node):
        """Any character device passes for a MIG slice. Where none may be made, counts must do:
        jobs then get the type, but no index and no CUDA_VISIBLE_DEVICES."""
        lines, index = [], 0
        try:
            for kind, count in MIG_TYPES.items():
                for slot in range(index, index + count):
                    os.mknod(f'{self.base}/dev/mig{slot}', 0o666 | stat.S_IFCHR, os.makedev(1, 3))
                lines.append(f'NodeName={node} Name=gpu Type={kind} '
                             f'File={self.base}/dev/mig[{index}-{index + count - 1}]')
                index += count
            self.mig = True
            return lines
        except PermissionError:
            return [f'NodeName={node} Name=gpu Type={kind} Count={count}'
                    for kind, count in MIG_TYPES.items()]

    def _write(self, name, text):
        with open(f'{self.base}/{name}', 'w', encoding='utf-8') as out:
            out.write(text)

    def _boot(self):
        key = f'{self.base}/munge.key'
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o400), 'wb') as out:
            out.write(os.urandom(128))
        run, log = f'{self.base}/run', f'{self.base}/log'
        self._start('munged', ['/usr/sbin/munged', '--foreground', f'--key-file={key}',
                               f'--socket={run}/munge.sock', f'--pid-file={run}/munged.pid',
                               f'--log-file={log}/munged.log', f'--seed-file={run}/munged.seed',
                               '--num-threads=2'])
        self._wait('munged', lambda: os.path.exists(f'{run}/munge.sock'))
        if self.accounting:
            self.accounting.start(self)
        self.start_slurmctld(clean=True)
        for name in self.node_names:
            self._start(f'slurmd-{name}', ['slurmd', '-D', '-N', name, '-f', f'{self.base}/slurm.conf'])
        self._wait('slurmctld', self._nodes_idle)

    def start_slurmctld(self, clean=False):
        # By this very name: Slurm 22.05 looks at argv[0].
        extra = {'AUSPEX_SOCKET': self.socket_path}
        if 'AUSPEX_PRELOAD' in os.environ:
            # A plugin built with a sanitizer needs its runtime in slurmctld from the start. Slurm's
            # own leaks at exit are not ours.
            extra |= {'LD_PRELOAD': os.environ['AUSPEX_PRELOAD'], 'ASAN_OPTIONS': 'detect_leaks=0'}
        self._start('slurmctld', [*as_user(self.user), 'slurmctld', '-D', '-f',
                                  f'{self.base}/slurm.conf', *(['-c'] if clean else [])], extra)
        self._wait('slurmctld', lambda: self.client('scontrol', 'ping', check=False).status == 0)

    def stop_slurmctld(self):
        return self.processes.stop('slurmctld', 20)

    def _start(self, name, argv, extra=None):
        path = '/usr/sbin:/sbin:' + os.environ.get('PATH', '/usr/bin:/bin')
        # Slurm's daemons write the same to their log files; what comes before those is here too.
        log = f'{self.base}/log/{name}.out'
        self.processes.start(name, argv, {**self.environment, 'PATH': path, **(extra or {})}, log)
        if log not in self.logs:
            self.logs.append(log)

    def as_slurm_user(self):
        return as_user(self.user)

    def start_beside(self, name, argv):
        """Another program that lives and ends with the cluster, and whose log is ours too."""
        self._start(name, argv)

    def _wait(self, name, predicate):
        def ready():
            for ended in self.processes.ended():
                raise Timeout(f'{ended} ended with status {self.processes[ended].returncode}')
            return predicate()
        wait_until(ready, 30, f'{name} to be ready')

    def _nodes_idle(self):
        said = self.client('scontrol', '-o', 'show', 'nodes', check=False).stdout
        states = dict(re.findall(r'^NodeName=(\S+) .*? State=(\S+)', said, re.M))
        return all(states.get(name) == 'IDLE' for name in self.node_names)

    def print_logs(self):
        for path in self.logs:
            print_tail(path, os.path.basename(path))

    # --- what runs in it

    @property
    def slurmctld_pid(self):
        return self.processes['slurmctld'].pid

    def slurmctld_alive(self):
        return self.processes.alive('slurmctld')

    def slurmctld_log(self):
        try:
            with open(f'{self.base}/log/slurmctld.log', encoding='utf-8', errors='replace') as log:
                return log.read()
        except OSError:
            return ''

    def client(self, *argv, stdin=b'', environment=None, check=True, seconds=CLIENT_SECONDS):
        """A Slurm command. Arguments are str or bytes. Raises when it fails, unless check is off."""
        begin = time.monotonic()
        done = subprocess.run(list(argv), input=stdin, capture_output=True, timeout=seconds,
                              cwd=f'{self.base}/work', env={**self.environment, **(environment or {})},
                              check=False)
        result = Result(done.returncode, done.stdout, done.stderr, time.monotonic() - begin)
        if check and result.status != 0:
            raise RuntimeError(f'{argv[0]} ended with status {result.status}: {result.stderr.strip()}')
        return result

    def sbatch(self, *options, wrap=None, script=None, **more):
        """script: the text of a job script; wrap: a command line. Output goes to the work folder."""
        if script is not None:
            stdin = script if isinstance(script, bytes) else script.encode()
            return self.client('sbatch', *options, stdin=stdin, **more)
        return self.client('sbatch', *options, '--wrap', wrap or 'true', **more)

    def job(self, job_id):
        """What `scontrol show job` prints, as a dict; {} when there is no such job. For texts that a
        user chose freely, jobs() is exact and this is not."""
        said = self.client('scontrol', 'show', 'job', str(job_id), check=False)
        if said.status != 0:
            return {}
        # The name stands first and may hold anything, keys of ours and line ends too.
        head, _, rest = said.stdout.partition('\n   UserId=')
        fields = {'JobName': head.partition(' JobName=')[2]}
        key = r'[A-Z][A-Za-z/:]*='
        for found in re.finditer(rf'(?:^|[ \n])({key})((?:(?![ \n]{key})[^\n])*)', 'UserId=' + rest):
            fields.setdefault(found[1][:-1], found[2].strip())
        return fields

    def jobs(self, *options):
        """Every job that slurmctld knows: the dicts of `squeue --json` by job id. Exact for texts,
        but for bytes that are no UTF-8."""
        said = self.client('squeue', '--json', *options).stdout
        # Slurm 22.05 writes some bytes as \x.., which JSON does not know.
        said = re.sub(r'\\(.)', lambda pair: pair[0] if pair[1] in '"\\/bfnrtu' else '\\' + pair[0],
                      said)
        return {job['job_id']: job for job in json.loads(said, strict=False)['jobs']}

    def limit_min(self, job_id):
        """The time limit of a job in minutes, None for UNLIMITED."""
        said = self.client('squeue', '-h', '-j', str(job_id), '-t', 'all', '-o', '%l').stdout.split()
        return minutes(said[0])

    def cancel_all(self):
        """No job is left pending or running. For tests that share one cluster."""
        with contextlib.suppress(RuntimeError):
            self.client('scancel', '--full', '-u', getpass.getuser())
        self.client('scancel', '-u', getpass.getuser(), check=False)
        wait_until(lambda: not self.client('squeue', '-h').stdout.strip(), 60, 'jobs to end')

    def reconfigure(self):
        self.client('scontrol', 'reconfigure')


def minutes(text):
    """Slurm's [D-]HH:MM:SS or MM:SS as minutes; None for UNLIMITED and the like."""
    days, _, clock = text.rpartition('-')
    parts = clock.split(':')
    if not all(part.isdigit() for part in parts):
        return None
    seconds = 0
    for part in parts:
        seconds = seconds * 60 + int(part)
    return int(days or 0) * 1440 + seconds // 60


if __name__ == '__main__':
    # By hand: boots a cluster and opens a shell in it.
    with Cluster(plugin=sys.argv[1] if len(sys.argv) > 1 else None) as by_hand:
        print(f'SLURM_CONF={by_hand.base}/slurm.conf; leave the shell to end the cluster')
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        subprocess.run([os.environ.get('SHELL', '/bin/sh')], env=by_hand.environment, check=False)

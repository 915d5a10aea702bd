# SPDX-License-Identifier: Apache-2.0
"""Accounting of a private cluster: MariaDB and slurmdbd, in the cluster's own directory.

    with Cluster(accounting=True) as cluster: ...

Associations are not enforced: every user may submit, and sacct knows what ran.
"""
import os
import shutil
import subprocess

from loopback import free_port
from processes import wait_until

DBD_CONF = '''
AuthType=auth/munge
AuthInfo=socket={base}/run/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser={user}
PidFile={base}/state/slurmdbd.pid
LogFile={base}/log/slurmdbd.log
DebugLevel=info
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={storage_port}
StorageUser=slurm
StoragePass=private
StorageLoc=accounting
'''

CONF = '''
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={base}/run/munge.sock
AccountingStoreFlags=job_comment
'''


class Accounting:
    """conf: what slurm.conf needs of it, once it was prepared."""

    def __init__(self, base, user):
        self._base, self._user = base, user
        self._port, self._storage_port = free_port(), free_port()
        self.conf = CONF.format(base=base, port=self._port)
        path = f'{base}/slurmdbd.conf'
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), 'w') as out:
            out.write(DBD_CONF.format(base=base, port=self._port, user=user,
                                      storage_port=self._storage_port))
        shutil.chown(path, user)  # slurmdbd reads none but its own

    def start(self, cluster):
        """After munged, before slurmctld."""
        self._start_database(cluster)
        cluster.start_beside('slurmdbd', [*cluster.as_slurm_user(), 'slurmdbd', '-D'])
        wait_until(lambda: self._is_listening(cluster), 60, 'slurmdbd to be ready')

    def _start_database(self, cluster):
        data, socket = f'{self._base}/state/database', f'{self._base}/state/database.sock'
        subprocess.run(['mariadb-install-db', '--no-defaults', f'--datadir={data}', f'--user={self._user}',
                        '--auth-root-authentication-method=normal', '--skip-test-db'],
                       check=True, timeout=120, capture_output=True, stdin=subprocess.DEVNULL)
        cluster.start_beside('mariadbd', [
            'mariadbd', '--no-defaults', f'--datadir={data}', f'--socket={socket}',
            f'--user={self._user}', '--bind-address=127.0.0.1', f'--port={self._storage_port}',
            f'--pid-file={self._base}/state/mariadbd.pid', '--innodb-buffer-pool-size=64M'])
        def client(sql):
            return subprocess.run(['mariadb', '--no-defaults', f'--socket={socket}', '-u', 'root', '-e', sql],
                                  timeout=60, capture_output=True, check=False,
                                  stdin=subprocess.DEVNULL).returncode == 0
        wait_until(lambda: client("CREATE USER IF NOT EXISTS slurm@'127.0.0.1' IDENTIFIED BY 'private'; "
                                  "CREATE USER IF NOT EXISTS slurm@'localhost' IDENTIFIED BY 'private'; "
                                  "GRANT ALL ON accounting.* TO slurm@'127.0.0.1', slurm@'localhost'"),
                   60, 'MariaDB to be ready')

    def _is_listening(self, cluster):
        return cluster.client('sacctmgr', '-n', 'show', 'cluster', check=False, seconds=20).status == 0

    @staticmethod
    def make_operator(cluster, user):
        """An account for the user, and the right to change others' jobs."""
        cluster.client('sacctmgr', '-i', 'add', 'account', 'operators')
        cluster.client('sacctmgr', '-i', 'add', 'user', user, 'Account=operators',
                       'AdminLevel=Operator')

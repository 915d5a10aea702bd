# SPDX-License-Identifier: Apache-2.0
"""
auspexd is there and says nothing: the deadline holds, jobs pass, it is found when it wakes. Or the
file system of its model says nothing: nobody sees it.
"""
import getpass
import unittest

from case import SlurmCase
from hanging import HangingFolder
from processes import wait_until


class Hung(SlurmCase):
    def test_submissions_return_unchanged(self):
        pid = self.cluster.slurmctld_pid
        with self.deciding(deadline_us=50000) as daemon:
            daemon.pause()
            for _ in range(20):
                self.assert_untouched()
            self.assertEqual(len([line for line in self.complaints() if 'in time' in line]), 1)
            daemon.resume()
            self.wait_until_shortened()
        self.assert_same_slurmctld(pid)

    def test_it_dies_while_hung(self):
        with self.deciding(deadline_us=50000) as daemon:
            daemon.pause()
            self.assert_untouched()
            daemon.kill()
            self.assert_untouched()
            daemon.start()
            self.wait_until_shortened()

    @unittest.skipUnless(getpass.getuser() == 'root', 'mounts')
    def test_the_file_system_of_its_model_hangs(self):
        with open(self.model(), 'rb') as file:
            content = file.read()
        far = self.enterContext(HangingFolder(f'{self.cluster.base}/far', {'runtime.auspex': content}))
        with self.deciding(model=f'{far.path}/runtime.auspex', deadline_us=50000) as daemon:
            before = daemon.status()
            far.hang()
            try:
                wait_until(lambda: far.waiting, 30, 'the daemon to look at its model')
                for _ in range(20):
                    self.assert_shortened()
                self.assertEqual(daemon.status()['fallbacks'], before['fallbacks'])
            finally:
                far.answer()


if __name__ == '__main__':
    unittest.main()

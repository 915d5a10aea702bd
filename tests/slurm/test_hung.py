# SPDX-License-Identifier: Apache-2.0
"""auspexd is there and says nothing: the deadline holds, jobs pass, it is found when it wakes."""
import unittest

from case import SlurmCase


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


if __name__ == '__main__':
    unittest.main()

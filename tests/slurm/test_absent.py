# SPDX-License-Identifier: Apache-2.0
"""No daemon: jobs pass as they are, the log says so once, a daemon that comes is found."""
import re
import time
import unittest

from case import SlurmCase


class Absent(SlurmCase):
    def test_jobs_pass_and_the_daemon_is_found_when_it_comes(self):
        begin = time.monotonic()
        pid = self.cluster.slurmctld_pid
        for _ in range(50):
            self.assert_untouched()
        minutes = int((time.monotonic() - begin) / 60) + 1
        causes = {}
        for line in self.complaints():
            cause = re.sub(r'^\[[^]]*\] ', '', line)
            causes[cause] = causes.get(cause, 0) + 1
        self.assertEqual(len(causes), 1, causes)
        self.assertIn('cannot be reached', next(iter(causes)))
        self.assertLessEqual(sum(causes.values()), minutes)

        with self.daemon():
            self.wait_until_shortened()
            self.assertIn('the daemon answers again', self.cluster.slurmctld_log())
        # It said goodbye: its socket is gone, jobs pass again.
        self.assert_untouched()
        self.assert_same_slurmctld(pid)

    def test_a_plain_file_at_the_socket_is_no_daemon(self):
        with open(self.cluster.socket_path, 'w', encoding='utf-8'):
            pass
        self.assert_untouched()


if __name__ == '__main__':
    unittest.main()

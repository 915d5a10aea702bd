# SPDX-License-Identifier: Apache-2.0
"""Something else than auspexd answers: whatever it says, slurmctld lives and jobs stay untouched."""
import random
import unittest

from case import ASKED_MIN, OVERASKED, SlurmCase
from craft import decide_reply
from impostor import CLOSE, HANG_UP_FIRST, Impostor, Relay

MAX_MESSAGE_BYTES = 64 * 1024  # ipc/PROTOCOL.md


class Liar(SlurmCase):
    def setUp(self):
        # The plugin has met the real daemon: the breaker is closed, and a liar in Python is given
        # the longest deadline there is.
        with self.deciding():
            pass

    def tearDown(self):
        # A fresh plugin for the next test; and nothing has harmed the old one unseen.
        self.assertEqual(self.cluster.stop_slurmctld(), 0)
        self.cluster.start_slurmctld()

    def lie(self, answer):
        pid = self.cluster.slurmctld_pid
        with Impostor(self.cluster.socket_path, answer) as liar:
            # Three failures in a row open the breaker: three are sure to ask.
            for _ in range(3):
                self.assert_untouched()
            self.assertGreaterEqual(liar.connections, 1)
            if answer is not HANG_UP_FIRST:
                self.assertGreaterEqual(len(liar.requests), 3)
        self.assertGreaterEqual(len(self.complaints()), 1)
        self.assert_same_slurmctld(pid)

    def recorded_reply(self):
        """A valid reply of the real daemon, to a request that is over."""
        return self.through_relay(lambda reply: reply)[0]

    def through_relay(self, change, check=None):
        real = f'{self.cluster.base}/run/real.sock'
        with self.daemon(socket=real):
            relay = Relay(real, change)
            with Impostor(self.cluster.socket_path, relay) as between:
                (check or self.assert_shortened)()
                self.assertGreaterEqual(len(between.requests), 1)
            relay.close()
        return relay.replies

    def test_says_nothing(self):
        self.lie(lambda request, earlier: [])

    def test_hangs_up_on_the_request(self):
        self.lie(lambda request, earlier: [CLOSE])

    def test_hangs_up_at_once(self):
        self.lie(HANG_UP_FIRST)

    def test_garbage(self):
        noise = random.Random(1)
        self.lie(lambda request, earlier: [noise.randbytes(noise.choice((1, 3, 4, 8, 100, 5000)))])

    def test_empty_message(self):
        self.lie(lambda request, earlier: [b''])

    def test_echo(self):
        self.lie(lambda request, earlier: [request])

    def test_oversized(self):
        self.lie(lambda request, earlier: [bytes(MAX_MESSAGE_BYTES + 1)])

    def test_valid_head_and_oversized_tail(self):
        reply = self.recorded_reply()
        self.lie(lambda request, earlier: [reply.ljust(MAX_MESSAGE_BYTES + 1, b'\0')])

    def test_truncated(self):
        reply = self.recorded_reply()
        cuts = iter((1, 4, 8, len(reply) // 2, len(reply) - 4, len(reply) - 1) * 100)
        self.lie(lambda request, earlier: [reply[:next(cuts)]])

    def test_reply_to_another_request(self):
        reply = self.recorded_reply()
        self.lie(lambda request, earlier: [reply])

    def test_answers_after_the_deadline(self):
        real = f'{self.cluster.base}/run/real.sock'
        with self.daemon(socket=real):
            relay = Relay(real)
            # To each request the answer to the one before, which nobody waits for any more.
            self.lie(lambda request, earlier:
                     relay(earlier[-2], earlier) if len(earlier) > 1 else [])
            relay.close()

    def test_bits_flipped(self):
        noise = random.Random(2)

        def flip(reply):
            flipped = bytearray(reply)
            # The head holds the offsets; flips in texts would be answers like others.
            flipped[noise.randrange(min(64, len(flipped)))] ^= 1 << noise.randrange(8)
            return bytes(flipped)

        pid = self.cluster.slurmctld_pid

        def check():
            for _ in range(20):
                _, limit = self.submit(*OVERASKED)
                self.assertLessEqual(limit, ASKED_MIN)
        self.through_relay(flip, check)
        self.assert_same_slurmctld(pid)

    def test_answers_that_must_not_be_taken(self):
        for edits in ({'time_limit_min': 0}, {'time_limit_min': ASKED_MIN + 1},
                      {'time_limit_min': 0xfffffffe}, {'time_limit_min': 0xffffffff},
                      {'time_min_min': ASKED_MIN + 1}, {'time_min_min': 0},
                      {'time_limit_min': 60, 'time_min_min': 61},
                      {'time_limit_min': 60, 'site_factor': 2147483647},
                      {'time_limit_min': 60, 'site_factor': -2147483648},
                      {'time_limit_min': 60, 'tres_per_node': ''},
                      {'time_limit_min': 60, 'tres_per_job': 'gres:gpu:1 --uid=0'},
                      {'time_limit_min': 60, 'tres_per_task': 'g' * 5000},
                      {'time_limit_min': 60, 'message': 'two\nlines'},
                      {'time_limit_min': 60, 'message': 'm' * 513},
                      {'time_limit_min': 60, 'message': '\u001b[2J'},
                      {'time_limit_min': 60, 'admin_comment': 'a\nTimeLimit=1'},
                      {'time_limit_min': 60, 'admin_comment': 'a' * 5000},
                      {'time_limit_min': 60, 'comment': 'c' * 1025}):
            with self.subTest(edits={key: str(value)[:20] for key, value in edits.items()}):
                before = len(self.complaints())
                self.answer_once(edits, lambda: self.assert_untouched(*OVERASKED))
                # One line a minute: a cause that was told before may be silent now.
                self.assertGreaterEqual(len(self.complaints()), min(before, 1))
        self.assertIn('not acceptable', self.complaints()[-1])

    def test_an_answer_never_gets_a_job_refused(self):
        # Slurm refuses comments over 1,024 bytes, after the plugin has been asked.
        comment = 'u' * 1000
        for edits in ({'comment': 'c' * 30}, {'comment': 'c' * 1000}):
            with self.subTest(size=len(edits['comment'])):
                self.answer_once(edits, lambda: self.submit(*OVERASKED, '--comment', comment))

    def test_a_told_deadline_has_bounds(self):
        for deadline_us in (0, 0xffffffff):
            with self.subTest(deadline_us=deadline_us):
                self.answer_once({}, lambda: self.assert_untouched(*OVERASKED), deadline_us)
                with Impostor(self.cluster.socket_path, lambda request, earlier: []):
                    self.assert_untouched()  # returns: an hour would be the test's timeout

    def answer_once(self, edits, check, deadline_us=100000):
        with Impostor(self.cluster.socket_path, decide_reply(edits, deadline_us)) as liar:
            check()
            self.assertEqual(len(liar.requests), 1)

    def test_the_control_answer_is_taken(self):
        # What the refused ones vary is fine in itself.
        self.answer_once({'time_limit_min': 60, 'time_min_min': 30, 'message': 'auspex: m' * 50,
                          'admin_comment': 'auspex:1 applied=60 end', 'comment': 'c'},
                         self.assert_shortened)

    def test_valid_answer_goes_through_the_relay(self):
        # The control: what the relayed lies change would have been taken.
        self.through_relay(lambda reply: reply)


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is timed of PyTorch, on the CPU and with tiny networks: right, complete, and in time."""
import collections
import os
import re
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import gpu_bench
import peer_plan

try:
    import torch
    import peer_nets
    import peer_timing
except ImportError:
    torch = None

TINY = '--device cpu --inputs 320 --hidden 32,16 --batch 1 --batch 16 --trials 20'


class Plan(unittest.TestCase):
    def test_the_plan_holds_the_papers_technique_early_and_nothing_twice(self):
        batches = [1, 4, 16, 64, 256, 1024, 4096, 16384, 7]
        tasks = peer_plan.tasks(['a', 'b'], batches, (), ())
        each = collections.Counter((*task[:4], batch) for task in tasks for batch in task.batches)
        self.assertEqual(set(each.values()), {1})
        self.assertEqual(len(each), 9 * 2 * sum(map(len, peer_plan.LEVELS)))
        compiled = [task for task in tasks if task.how in peer_plan.COMPILED]
        self.assertEqual({(task.technique, task.hidden) for task in compiled[:4]},
                         {('int8_weights', 'a'), ('int8_weights', 'b')})
        self.assertEqual(compiled[0].batches[:2], [1, 16384])


@unittest.skipUnless(torch, 'PyTorch is not installed for this Python')
class Peers(unittest.TestCase):
    def peers(self, *more, code=0):
        with tempfile.TemporaryDirectory() as folder:
            out = os.path.join(folder, 'peers.jsonl')
            done = subprocess.run([sys.executable, os.path.join(HERE, 'peers.py'), '--out', out,
                                   *TINY.split(), *more], text=True, capture_output=True,
                                  check=False, env={**os.environ, 'OMP_NUM_THREADS': '1'})
            self.assertEqual(done.returncode, code, done.stderr)
            return list(gpu_bench.read(out))

    def test_rows_are_complete_and_right(self):
        records = self.peers('--how', 'eager', '--how', 'cuda-graph')
        self.assertEqual(records[0]['torch'], torch.__version__)
        timed = [record for record in records if 'median_us' in record]
        for row in timed:
            self.assertLessEqual(row['median_us'], row['p99_us'])
            self.assertLessEqual(10, row['trials'])
            self.assertGreater(row['input_sets'], 1)
            self.assertLess(row['relative_error'], peer_nets.BOUNDS[row['precision']])
            self.assertIsNone(row['device_median_us'])
        self.assertLessEqual({('dense', 'fp32', 1), ('dense', 'bf16', 16),
                              ('int8_weights', 'int8w', 1), ('int8_weights_scaled', 'int8w', 16),
                              ('embedding_bag', 'fp32', 1), ('embedding_bag_fused', 'fp32', 1)},
                             {(row['technique'], row['precision'], row['batch']) for row in timed})
        failed = [record for record in records if 'error' in record and record['kind'] == 'row']
        self.assertLessEqual({('embedding_bag', 'cuda-graph'), ('semi_structured', 'eager')},
                             {(row['technique'], row['how']) for row in failed})
        begun = [record['number'] for record in records if record['kind'] == 'begun']
        self.assertEqual(begun, list(range(len(begun))))

    def test_time_is_up(self):
        rows = [record for record in self.peers('--technique-seconds', '0.000001')
                if record['kind'] == 'row']
        self.assertTrue(rows)
        for row in rows:
            self.assertIn('time is up', row['error'])
        rows = [record for record in self.peers('--seconds', '0') if record['kind'] == 'row']
        self.assertLessEqual({row['error'] for row in rows},
                             {'not begun: time is up; batch ' + which for which in
                              ('1, 16', '1', '16')})

    def test_going_on_after_a_lost_process(self):
        whole = peer_plan.tasks([[32, 16]], [1, 16], (), ('eager',))
        first = len(whole) - 1
        records = self.peers('--how', 'eager', '--first', str(first))
        self.assertEqual([record['number'] for record in records if record['kind'] == 'begun'],
                         [first])
        self.assertNotIn('machine', {record['kind'] for record in records})

    def test_without_a_gpu_it_says_so(self):
        done = subprocess.run([sys.executable, os.path.join(HERE, 'peers.py'), '--out',
                               os.devnull], text=True, capture_output=True, check=False,
                              env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''})
        self.assertEqual(done.returncode, gpu_bench.NO_TORCH)
        self.assertIn('sees no CUDA device', done.stderr)

    def test_wrong_outputs_are_not_timed(self):
        weights = peer_nets.Weights([16], 120)
        with torch.no_grad():
            task = peer_plan.Task('dense', 'fp32', 'eager', [16], [4])
            subject = peer_timing.Subject(task, weights, 'cpu')
            subject.timed(4, 1)
            layer = subject._module[0]
            layer.weight = torch.nn.Parameter(layer.weight + 0.1)
            with self.assertRaisesRegex(peer_timing.Differs, 'differ'):
                subject.timed(4, 1)
            layer.weight[3] = float('nan')
            with self.assertRaises(peer_timing.Differs):
                subject.timed(4, 1)

    def test_the_network_is_the_papers(self):
        weights = peer_nets.Weights([16])
        self.assertEqual(sum(weights.fields) + peer_nets.NUMBERS, 19809)
        self.assertEqual(len(weights.fields), 14)
        self.assertEqual(weights.matrices[0].shape, (16, 19809))
        header = os.path.join(HERE, '..', '..', 'shared', 'prediction.h')
        with open(header, encoding='utf-8') as file:
            levels = re.search(r'kQuantileLevels = \{([^}]*)\}', file.read())
        self.assertEqual(peer_nets.OUTPUTS, len(levels.group(1).split(',')) + 1)
        with torch.no_grad():
            inputs = peer_nets.Inputs(weights, 3, torch.float64, 'cpu', True, 1)
            given = inputs.calls[0][0]
            self.assertTrue((given[:, :-peer_nets.NUMBERS].sum(1) == 14).all())
            answer = peer_nets.dense(weights).double()(given)
            expected = weights.reference(inputs.indices[0], inputs.numbers[0])
            self.assertTrue(torch.allclose(answer, expected))
            self.assertFalse(torch.equal(inputs.indices[0], inputs.indices[1]))

    def test_two_of_four(self):
        pruned = peer_nets.Weights([64, 32]).pruned()
        self.assertEqual(pruned.inputs, 19840)
        for matrix in pruned.matrices[:-1]:
            self.assertLessEqual((matrix.reshape(-1, 4) != 0).sum(1).max().item(), 2)
        self.assertEqual(peer_nets.two_of_four(torch.tensor([[1., -4, 3, 2]])).tolist(),
                         [[0, -4, 3, 0]])


if __name__ == '__main__':
    unittest.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The least time that a row of CUDA can take, against sums made by hand."""
import importlib.util
import os
import sys
import unittest
import unittest.mock

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import gpu_floor

TORCH = importlib.util.find_spec('torch') is not None


class Floors(unittest.TestCase):
    """By hand, of 512-256-128: layers of 19809 x 512, 131072, 32768 and 1280 weights."""
    def floor(self, batch, precision, sparsity='none', given='gather', **tflop_per_s):
        row = {'precision': precision, 'sparsity': sparsity, 'input': given, 'batch': batch,
               'hidden': '512-256-128'}
        ceilings = {f'matmul_{of}': {'tflop_per_s': rate} for of, rate in tflop_per_s.items()}
        floor = gpu_floor.floor(row, gpu_floor.rates({'copy': {'gb_per_s': 4000}, **ceilings}))
        return gpu_floor.bytes_of(row), round(floor.us, 6), floor.of

    def test_by_hand(self):
        # 16384 x 14 x 512, numbers 6 x 512 x 2, 131072 + 32768, 1280 x 2, 16384 x 124
        self.assertEqual(self.floor(16384, 'int8', bf16=800), (119644672, 29.911168, 'bytes'))
        # 8 x 14 x 512, 6144, 163840 x 5/8, 2560, 8 x 124
        self.assertEqual(self.floor(8, 'int8', '2:4', bf16=800), (169440, 0.04236, 'bytes'))
        # 8 x 14 x 512 x 4, 6 x 512 x 4, 165120 x 4, 992
        self.assertEqual(self.floor(8, 'fp32', bf16=800), (903136, 0.225784, 'bytes alone'))
        # 2 x 16384 x 163840 at 20 T/s or, where none was timed, 10; 2 x 16384 x 1280 at 5
        self.assertEqual(self.floor(16384, 'int4', bf16=5, int8=20)[1], 276.824064)
        self.assertEqual(self.floor(16384, 'int4', bf16=5), (119562752, 545.25952, 'operations'))
        self.assertEqual(self.floor(16384, 'int8', '2:4', bf16=5)[1], 276.824064)  # half of them
        # 19803 x 512 x 2, 6144, 165120 x 2, 16384 x 124; 2 x 16384 x 10307328
        dense = self.floor(16384, 'bf16', given='dense', bf16=800)
        self.assertEqual(dense, (22646272, 422.188155, 'operations'))

    @unittest.skipUnless(TORCH, 'PyTorch is not installed for this Python')
    def test_a_ceiling_that_fails_tells_why(self):
        import peer_timing
        with unittest.mock.patch('torch._int_mm', create=True,
                                 side_effect=RuntimeError('no such kernel')):
            told = {one.pop('name'): one for one in peer_timing.ceilings('cpu')}
        self.assertEqual(told['matmul_int8'], {'error': 'RuntimeError: no such kernel'})
        self.assertIn('tflop_per_s', told['matmul_tf32'])


if __name__ == '__main__':
    unittest.main()

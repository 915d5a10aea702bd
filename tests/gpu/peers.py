#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times the runtime network in PyTorch: the ALICE paper's techniques, on this machine's GPU.

    tests/gpu/peers.py --out peers.jsonl --seconds 150

A JSON object a line, each written as soon as it is known; README.md explains the fields. Needs
PyTorch; exits with 4 where there is none, or no GPU for it, and with 3 where the GPU was lost.
"""
import argparse
import os
import signal
import sys
import tempfile
import time
import warnings

import journal
from peer_plan import techniques

BATCHES = (1, 8, 64, 512, 4096, 16384)  # ours, too
HIDDEN = ('512,256,128', '1024,512,256')
NO_TORCH = 4


def options():
    parser = argparse.ArgumentParser(prog='peers.py', description=__doc__.split('\n')[0])
    parser.add_argument('--out', metavar='FILE', required=True, help='a JSON object a line')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--seconds', type=float, default=150, help='in all (default 150)')
    parser.add_argument('--technique-seconds', type=float, default=25, metavar='SECONDS',
                        help='of one technique and network, with compiling (default 25)')
    parser.add_argument('--trials', type=int, default=1000, help='of a row (default 1000)')
    parser.add_argument('--hidden', action='append', metavar='A,B,C', type=widths,
                        help=f'may be repeated ({" and ".join(HIDDEN)})')
    parser.add_argument('--batch', action='append', type=int, help='may be repeated (1 to 16384)')
    parser.add_argument('--inputs', type=int, help='of the network (19809)')
    parser.add_argument('--only', metavar='TECHNIQUE', action='append',
                        help='may be repeated (all)')
    parser.add_argument('--how', metavar='MODE', action='append', help='may be repeated (all)')
    parser.add_argument('--first', type=int, default=0, metavar='NUMBER',
                        help='begin with this one of the plan: go on where a process was lost')
    wish = parser.parse_args()
    wish.hidden = wish.hidden or [widths(text) for text in HIDDEN]
    wish.batch = wish.batch or list(BATCHES)
    for name in wish.only or ():
        if name not in techniques():
            parser.error(f'no technique {name}; there are {", ".join(techniques())}')
    if min(*wish.batch, wish.trials) < 1 or wish.first < 0:
        parser.error('--batch and --trials are at least 1, --first at least 0')
    if wish.inputs is not None and wish.inputs < 100:
        parser.error(f'--inputs {wish.inputs} is less than 100')
    return wish


def widths(text):
    return [int(part) for part in text.split(',')]


def main():
    wish = options()
    deadline_s = time.monotonic() + wish.seconds
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory() as caches, open(wish.out, 'w', encoding='utf-8') as out:
        # Compiled here and now, whatever was compiled before.
        os.environ['TORCHINDUCTOR_CACHE_DIR'] = os.path.join(caches, 'inductor')
        os.environ['TRITON_CACHE_DIR'] = os.path.join(caches, 'triton')
        warnings.simplefilter('ignore')
        try:
            import torch
        except ImportError as error:
            return no_torch(f'PyTorch cannot be loaded: {error}')
        if wish.device == 'cuda' and not torch.cuda.is_available():
            return no_torch(f'PyTorch {torch.__version__} sees no CUDA device')
        import peer_timing
        with torch.no_grad():
            return peer_timing.Peers(wish, out, deadline_s).measure()


def no_torch(why):
    print(f'peers: {journal.scrubbed(why)}', file=sys.stderr)
    return NO_TORCH


if __name__ == '__main__':
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
"""The least time that a row of CUDA can take: its bytes and its operations at the card's rates.

The network: one-hot rows of which a job names 14, 6 numbers, hidden layers, 10 outputs. A layer's
format is as in kernels/cuda/network_view.h; see precisions_of() in shared/precision.cc.
"""
import collections

# The paper's; the network of `auspex bench` has 21 rows more, 0.1 %: kValues in cli/bench_model.cc.
INPUTS, NUMBERS, NAMED, OUTPUTS = 19809, 6, 14, 10
# Bytes of a job. Source: sizeof(Job) in kernels/cuda/network_view.h; FP32 outputs.
JOB_BYTES, OUTPUT_BYTES = 84, 4 * OUTPUTS
# Of a weight. Of 2:4 half the weights are kept, a byte each and 2 bits that say where it was.
PAIRS = '2:4'
BYTES = {'fp32': 4, 'tf32': 4, 'bf16': 2, 'fp16': 2, 'int8': 1, 'int4': 0.5, PAIRS: 0.625}
COARSE = ('int8', 'int4', PAIRS)        # the first layer is INT8, the last BF16
CORES = {'int4': 'int8', PAIRS: 'int8'}  # what multiplies them; others have cores of their own
# A tensor core's rate over that of BF16, where no product was timed. Source: NVIDIA's data sheets.
NOMINAL = {'int8': 2, 'fp16': 1, 'tf32': 0.5}

# gb_per_s; tflop_per_s of a precision; the precisions for which that is nominal, and which lack it.
Rates = collections.namedtuple('Rates', 'gb_per_s tflop_per_s nominal unknown')
# of: 'bytes' or 'operations', what takes longer; 'bytes alone' where the other has no rate.
Floor = collections.namedtuple('Floor', 'us of')


def rates(ceilings):
    """From the ceilings of a run's results; None without the rate of a copy."""
    gb_per_s = ceilings.get('copy', {}).get('gb_per_s')
    if not gb_per_s:
        return None
    known = {name: ceilings.get(f'matmul_{name}', {}).get('tflop_per_s')
             for name in ('bf16', 'fp16', 'int8', 'tf32', 'fp32')}
    nominal = [name for name in NOMINAL if not known[name] and known['bf16']]
    known.update({name: NOMINAL[name] * known['bf16'] for name in nominal})
    return Rates(gb_per_s, known, nominal, [name for name in known if not known[name]])


def floor(row, at):
    """at: Rates. Microseconds, and which of the two it is."""
    bytes_us = bytes_of(row) / (1e3 * at.gb_per_s)
    counts = operations_of(row)
    if counts.keys() & set(at.unknown):
        return Floor(bytes_us, 'bytes alone')
    operations_us = sum(count / (1e6 * at.tflop_per_s[cores]) for cores, count in counts.items())
    return (Floor(bytes_us, 'bytes') if bytes_us >= operations_us
            else Floor(operations_us, 'operations'))


def bytes_of(row):
    """Moved for a batch: jobs, rows that they name or for a dense input all, weights, outputs.

    A row counts for each job that names it, whatever a cache keeps; biases and scales do not.
    """
    (first, _, width), *later = layers_of(row)
    numbers = NUMBERS * width * (BYTES['bf16'] if first == 'int8' else BYTES[first])
    rows = INPUTS - NUMBERS if row['input'] == 'dense' else row['batch'] * NAMED
    weights = sum(inputs * outputs * BYTES[of] for of, inputs, outputs in later)
    return (rows * width * BYTES[first] + numbers + weights
            + row['batch'] * (JOB_BYTES + OUTPUT_BYTES))


def operations_of(row):
    """Which cores -> operations on them, of layers that multiply matrices: two a multiply-add."""
    layers = layers_of(row)
    counts = collections.Counter()
    for of, inputs, outputs in layers if row['input'] == 'dense' else layers[1:]:
        kept = 0.5 if of == PAIRS else 1
        counts[CORES.get(of, of)] += 2 * row['batch'] * inputs * outputs * kept
    return counts


def layers_of(row):
    """(format, inputs, outputs) of each, as the row's technique has them."""
    widths = [INPUTS, *map(int, row['hidden'].split('-')), OUTPUTS]
    of = PAIRS if row['sparsity'] == PAIRS else row['precision']
    formats = [of] * (len(widths) - 1)
    if of in COARSE:
        formats[0], formats[-1] = 'int8', 'bf16'
    return list(zip(formats, widths, widths[1:]))


def bus_us(batch, ceilings):
    """Of a batch's jobs or its outputs, whichever takes longer, as both ways go at once.

    None where a way was not timed.
    """
    there, back = (ceilings.get(way, {}).get('gb_per_s') for way in ('to_card', 'from_card'))
    if not there or not back:
        return None
    return batch * max(JOB_BYTES / (1e3 * there), OUTPUT_BYTES / (1e3 * back))

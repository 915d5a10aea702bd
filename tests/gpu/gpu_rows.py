# SPDX-License-Identifier: Apache-2.0
"""Rows of our benchmark and of PyTorch's, looked at alike: names, lines, and who is compared."""
import peer_plan

PRECISIONS = {'fp32': 'FP32', 'tf32': 'TF32', 'bf16': 'BF16', 'fp16': 'FP16', 'int8': 'INT8',
              'int4': 'INT4', 'int8w': 'INT8 weights'}
TORCH = {'dense': 'dense', 'int8_weights': 'dense', 'int8_weights_scaled': 'dense, scaled first',
         'semi_structured': '2:4', 'embedding_bag': 'EmbeddingBag',
         'embedding_bag_fused': 'EmbeddingBag, cublasLt'}
HOW = {'eager': 'eager', 'reduce-overhead': 'compiled, CUDA graphs',
       'max-autotune-no-cudagraphs': 'compiled, tuned', 'cuda-graph': 'CUDA graph'}


PERSISTENT, IN_PLACE = 'cuda-persistent', 'cuda-in-place'
KINDS = {PERSISTENT: ['persistent'], IN_PLACE: ['in place']}


def is_ours(row):
    return row['technique'] == 'auspex'


def on_gpu(row):
    return row['backend'].startswith('cuda')


def precision(row):
    return PRECISIONS.get(row['precision'], row['precision'])


def name(row):
    """A line of the tables."""
    if is_ours(row):
        where = 'CUDA' if on_gpu(row) else f"CPU {row['backend']}"
        parts = [f'Auspex {where} {precision(row)}']
        if row['sparsity'] != 'none':
            parts.append(row['sparsity'] + (' skipped' if row['sparsity'] == 'rows' else ''))
        parts += ['dense'] if row['input'] == 'dense' else []
        parts += KINDS.get(row['backend'], [])
        return ', '.join(parts)
    if row['backend'] != 'torch':
        return f"{row['technique']} {row['backend']} {precision(row)}"
    technique = TORCH.get(row['technique'], row['technique'])
    return f"PyTorch {precision(row)} {technique}, {HOW.get(row['how'], row['how'])}"


def networks(rows):
    return list(dict.fromkeys(row['hidden'] for row in rows))


def batches(rows):
    return sorted({row['batch'] for row in rows})


def least(rows, field='median_us'):
    """batch -> the row that takes least."""
    best = {}
    for row in rows:
        known = best.get(row['batch'])
        if known is None or row[field] < known[field]:
            best[row['batch']] = row
    return best


def matching(rows, **wanted):
    """Rows of which every named field is one of the values given."""
    return [row for row in rows
            if all(row.get(field) in values for field, values in wanted.items())]


def ours_on_gpu(rows):
    """Each call a launch, of jobs in any memory."""
    return [row for row in rows if is_ours(row) and row['backend'] == 'cuda']


def ours_on_cpu(rows):
    return [row for row in rows if is_ours(row) and not on_gpu(row)
            and row['backend'] != 'reference']


def paper(rows):
    """What the paper found best: weights in INT8, dense inputs, compiled."""
    return matching(rows, backend=['torch'], technique=peer_plan.INT8,
                    how=peer_plan.COMPILED)


def bags(rows):
    """The first layer gathered, as ours is."""
    return matching(rows, backend=['torch'], technique=peer_plan.BAGS)


def time_text(time_us):
    """Three digits that count."""
    if time_us >= 1e6:
        return f'{time_us / 1e6:.3g} s'
    if time_us >= 1e5:
        return f'{time_us / 1e3:.0f} ms'
    if time_us >= 1e3:
        return f'{time_us / 1e3:.3g} ms'
    return f'{time_us:.0f} µs' if time_us >= 100 else f'{time_us:.3g} µs'

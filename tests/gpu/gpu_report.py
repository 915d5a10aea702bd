# SPDX-License-Identifier: Apache-2.0
"""The report of a run, in Markdown: what ran, what agreed, and the paper's figure 2 as tables."""
import gpu_floor as floors
import gpu_rows as rows_of

NONE = '–'
POWER = {'idle': 'before anything was asked', 'launches': 'single requests, each a launch',
         'persistent': 'single requests, a kernel that stays'}
TIME_UP = 'not begun: time is up'


def report(results):
    parts = [_head(results), _steps(results), _tests(results), _sanitizer(results),
             _networks(results), _floors(results), _without_time(results)]
    return '\n\n'.join(part for part in parts if part) + '\n'


def table(head, lines, left=1, why=False):
    """left: so many columns of words, the others hold numbers. why: the last one words again."""
    rule = ['---'] * left + ['---:'] * (len(head) - left)
    if why:
        rule[-1] = '---'
    return '\n'.join('| ' + ' | '.join(map(_cell, line)) + ' |' for line in (head, rule, *lines))


def _cell(value):
    return str(value).replace('|', '\\|').replace('\n', ' ')


def _head(results):
    card, peers, processor = (results.get(key) or {} for key in ('card', 'peers', 'processor'))
    title = card.get('name') or peers.get('card') or 'no GPU'
    lines = [('card', ', '.join(filter(None, (title, card.get('memory.total'),
                                              card.get('power.limit'))))),
             ('driver', card.get('driver_version', NONE)),
             ('clocks at most', f"SM {card['clocks.max.sm']}, memory {card['clocks.max.memory']}"
              if card else NONE),
             ('MIG', card.get('mig.mode.current', NONE)),
             ('processor', f"{processor['name']}, {processor['threads']} threads"
              if processor else NONE),
             ('PyTorch', f"{peers['torch']}, CUDA {peers.get('cuda', NONE)}" if peers else NONE),
             ('date', results['date'])]
    for name, ceiling in results['ceilings'].items():
        ways = 'read and written' if name == 'copy' else 'one way'
        unit = 'TOP/s' if name == 'matmul_int8' else 'TFLOP/s'
        what = (f"{ceiling['gb_per_s']} GB/s {ways}" if 'gb_per_s' in ceiling
                else f"{ceiling['tflop_per_s']} {unit}" if 'tflop_per_s' in ceiling
                else ceiling['error'])
        lines.append((f'at best, {name}', what))
    lines += [(f'power, {POWER[name]}', f'{power_w:g} W')
              for name, power_w in (results.get('power_w') or {}).items() if power_w is not None]
    return f"# Auspex on {title}\n\n" + table(('', ''), lines, left=2)


def _steps(results):
    lines = [(name, step['status'], f"{step['seconds']:.0f}", step.get('reason', ''))
             for name, step in results['steps'].items()]
    return '## Steps\n\n' + table(('step', 'status', 's', 'why'), lines, left=2, why=True)


def _tests(results):
    tests = results['tests']
    if not tests:
        return None
    if 'passed' not in tests:
        return f"## Tests\n\nNo results: {tests['reason']}.\n\n" + _quoted(tests['last_words'])
    text = (f"## Tests\n\n{tests['passed']} passed, {len(tests['failures'])} failed, "
            f"{tests['skipped']} skipped.")
    for failure in tests['failures']:
        text += f"\n\n`{failure['test']}`\n\n" + _quoted(failure['text'])
    return text


def _quoted(text):
    return '\n'.join('    ' + line for line in text.split('\n')).rstrip()


def _sanitizer(results):
    found = results['sanitizer']
    if not found:
        return None
    lines = [(tool, one['status'], NONE if one['errors'] is None else one['errors'],
              one['tests'], f"{one['seconds']:.0f}", one.get('reason', ''))
             for tool, one in found.items()]
    text = '## compute-sanitizer\n\n' + table(
        ('tool', 'status', 'reported', 'tests passed', 's', 'why'), lines, left=2, why=True)
    for tool, one in found.items():
        if one.get('last_words'):
            text += f'\n\n{tool}:\n\n' + _quoted(one['last_words'])
    return text


def _networks(results):
    rows = [row for row in results['rows'] if row['cache'] == 'warm']
    if not rows:
        return None
    text = ('## Times\n\nOf a call until its outputs are there, on the clock of the host; inputs '
            'change on every call and lie where the call is made: ours in memory of the host (*in '
            'place*: in such as the card reads and writes itself), PyTorch\'s on the card already. '
            'Columns are batches; **bold**: the least.\n\n'
            '![Time of a call over its batch](figure.svg)')
    for hidden in rows_of.networks(rows):
        these = [row for row in rows if row['hidden'] == hidden]
        text += (f'\n\n### {hidden}: median\n\n' + times(these, 'median_us')
                 + f'\n\n### {hidden}: ours against others\n\n' + ratios(these)
                 + f'\n\n### {hidden}: p99\n\n' + times(these, 'p99_us'))
        on_device = [row for row in these if row.get('device_median_us')]
        if on_device:
            text += (f'\n\n### {hidden}: median between two events on the device\n\n'
                     + times(on_device, 'device_median_us'))
    return text


def times(rows, field):
    """A line for each technique, ours first, in the order of its least time."""
    columns = rows_of.batches(rows)
    best = rows_of.least(rows, field)
    lines = {}
    for row in rows:
        lines.setdefault(rows_of.name(row), []).append(row)

    def rank(item):
        first = item[1][0]
        return (not rows_of.is_ours(first), not rows_of.on_gpu(first),
                min(row[field] for row in item[1]))
    cells = []
    for name, own in sorted(lines.items(), key=rank):
        at = rows_of.least(own, field)
        line = [name]
        for batch in columns:
            text = rows_of.time_text(at[batch][field]) if batch in at else NONE
            line.append(f'**{text}**' if at.get(batch) is best[batch] else text)
        cells.append(line)
    return table(['', *columns], cells)


def ratios(rows):
    """Their time over ours: above 1 we take less. Each side is its fastest at that batch."""
    gpu, cpu = rows_of.ours_on_gpu(rows), rows_of.ours_on_cpu(rows)
    torch = rows_of.matching(rows, backend=['torch'])
    gather = rows_of.matching(gpu, input=['gather'])
    whole = rows_of.matching(gather, sparsity=['none'])
    paper = rows_of.paper(rows)
    bf16_dense = rows_of.matching(torch, technique=['dense'], precision=['bf16'])
    bags = rows_of.bags(rows)
    same = 'ours: CUDA, {}, gather'
    in_place = ('ours: CUDA, fastest, in place',
                rows_of.matching(rows, backend=[rows_of.IN_PLACE]))
    pairs = (
        ("the paper's technique (INT8 weights, dense, compiled)", paper,
         ((same.format('INT8'), rows_of.matching(whole, precision=['int8'])),
          ('ours: CUDA, INT8, dense',
           rows_of.matching(gpu, precision=['int8'], input=['dense'])),
          ('ours: CUDA, INT8, persistent',
           rows_of.matching(rows, backend=[rows_of.PERSISTENT], precision=['int8'])),
          ('ours: CUDA, fastest', gpu), in_place, ('ours: CPU, fastest', cpu))),
        ('BF16 dense', bf16_dense,
         ((same.format('BF16'), rows_of.matching(whole, precision=['bf16'])),
          ('ours: CUDA, BF16, dense',
           rows_of.matching(gpu, precision=['bf16'], input=['dense'], sparsity=['none'])),
          ('ours: CUDA, fastest', gpu), in_place, ('ours: CPU, fastest', cpu))),
        ('EmbeddingBag', bags,
         ((same.format('BF16'), rows_of.matching(whole, precision=['bf16'])),
          ('ours: CUDA, fastest', gpu), in_place, ('ours: CPU, fastest', cpu))))
    ours_all = [row for row in rows if rows_of.is_ours(row)]
    columns = [batch for batch in rows_of.batches(rows)
               if any(row['batch'] == batch for row in torch)
               and any(row['batch'] == batch for row in ours_all)]
    lines = []
    for theirs_name, theirs, sides in pairs:
        their_best = rows_of.least(theirs)
        for our_name, ours in sides:
            our_best = rows_of.least(ours)
            if not our_best.keys() & their_best.keys():
                continue
            lines.append([theirs_name, our_name, *(
                f"{their_best[batch]['median_us'] / our_best[batch]['median_us']:.3g}"
                if batch in their_best and batch in our_best else NONE for batch in columns)])
    if not lines:
        return 'No batch was measured of both.'
    return ('Their median over ours; above 1, ours takes less.\n\n'
            + table(['theirs, the fastest at the batch', 'ours', *columns], lines, left=2))


def _floors(results):
    parts = [_floors_of_cpu(results['rows']), _floors_of_card(results)]
    if not any(parts):
        return None
    return '\n\n'.join(['## Time over the floor', *filter(None, parts)])


def _floors_of_cpu(rows):
    """What only reading a row's bytes takes, as the benchmark measured it beside the row."""
    lines = [(row['hidden'], row['batch'], rows_of.name(row), row['bytes'],
              rows_of.time_text(row['floor_us']), rows_of.time_text(row['median_us']),
              f"{row['median_us'] / row['floor_us']:.3g}")
             for row in rows
             if row.get('bytes') and row.get('floor_us') and not rows_of.on_gpu(row)]
    if not lines:
        return None
    return ('On the CPU the floor is reading the bytes that one sample needs, as measured beside '
            'the row; no call is in it.\n\n'
            + table(('network', 'batch', 'row', 'bytes', 'floor', 'median', 'over'), lines))


def _floors_of_card(results):
    ours = [row for row in results['rows'] if rows_of.is_ours(row) and rows_of.on_gpu(row)
            and row['cache'] == 'warm']
    if not ours:
        return None
    ceilings = results['ceilings']
    rates = floors.rates(ceilings)
    if not rates:
        return 'On the card there is no floor: the rate of a copy was not measured.'
    text = (
        'On the card the floor is the longer of two times:\n\n'
        f'- **bytes**, at the rate of `copy`: of each job its input ({floors.JOB_BYTES}), the '
        f'{floors.NAMED} rows of the first layer that it names and its outputs '
        f"({floors.OUTPUT_BYTES}); once the numbers' rows and all weights behind the first layer. "
        'With a dense input all rows once, in place of the named. Named rows count for every job, '
        "although the card's cache holds many and is faster than its memory: of large batches "
        'less may be possible.\n'
        "- **operations**, at the rate of `matmul` in a layer's precision (INT4 and 2:4 multiply "
        'as INT8, 2:4 half as often): two for each multiply-add behind the first layer, and with '
        'a dense input in it.\n\n'
        'Above each floor is the time and how many times the floor that is: the median between '
        'two events on the device; of a kernel that stays, and in place, until the answer is there. A launch '
        'takes microseconds, which are in no floor: a few jobs are far above theirs.')
    if floors.bus_us(1, ceilings):
        text += (' *Answered* is the median on the clock of the host; its floor is what the bus '
                 'takes for the inputs or for the outputs, the longer of both.')
    for hidden in rows_of.networks(ours):
        text += (f'\n\n### {hidden}: CUDA over its floor\n\n'
                 + over_floors([row for row in ours if row['hidden'] == hidden], rates, ceilings)
                 + _not_timed(rates))
    return text


def _not_timed(rates):
    """One line, or none."""
    notes = []
    if rates.nominal:
        each = ', '.join(f'{rows_of.PRECISIONS[of]} {floors.NOMINAL[of]:g}x'
                         for of in rates.nominal)
        notes.append(f'nominal rates of the tensor cores over BF16, as no product was timed: '
                     f'{each}')
    if rates.unknown:
        each = ', '.join(rows_of.PRECISIONS[of] for of in rates.unknown)
        notes.append(f'no rate, so bytes alone: {each}')
    return '\n\nOperations: ' + '; '.join(notes) + '.' if notes else ''


def over_floors(rows, rates, ceilings):
    """Of each technique a line of times and one of floors: gathered, then dense, then staying."""
    columns = rows_of.batches(rows)
    bus_us = floors.bus_us(columns[-1], ceilings)
    lines = {}
    for row in sorted(rows, key=lambda row: (row['backend'] == rows_of.PERSISTENT,
                                             row['input'] == 'dense')):
        lines.setdefault(rows_of.name(row), {})[row['batch']] = row
    cells = []
    for name, at in lines.items():
        over, least = [name], ['floor']
        for batch in columns:
            over.append(NONE)
            least.append(NONE)
            if batch in at:
                floor = floors.floor(at[batch], rates)
                over[-1] = _over(at[batch].get('device_median_us') or at[batch]['median_us'],
                                 floor.us)
                least[-1] = f'{rows_of.time_text(floor.us)}, {floor.of}'
        if bus_us:
            answered = at.get(columns[-1])
            over.append(_over(answered['median_us'], bus_us) if answered else NONE)
            least.append(f'{rows_of.time_text(bus_us)}, bus' if answered else NONE)
        cells += [over, least]
    return table(['', *columns, *([f'{columns[-1]}, answered'] if bus_us else [])], cells)


def _over(time_us, floor_us):
    times = time_us / floor_us
    return f'{rows_of.time_text(time_us)}, {times:.{0 if times >= 100 else 1}f}x'


def _without_time(results):
    lines, late = [], {}
    for row in results['rows_without_time']:
        if row['error'].startswith(TIME_UP):
            late.setdefault(row['hidden'], {}).setdefault(rows_of.name(row), []).append(
                row['error'].split('; batch ')[-1])
        else:
            lines.append((row['hidden'], rows_of.name(row), row.get('batch') or 'all',
                          row['error']))
    if not lines and not late:
        return None
    text = '## Rows without a time'
    if lines:
        text += '\n\n' + table(('network', 'row', 'batch', 'why'), lines, left=4)
    for hidden, names in late.items():
        listed = '; '.join(f"{name} ({', '.join(of)})" for name, of in names.items())
        text += f'\n\n{hidden}, time was up before these, of batches: {listed}.'
    return text

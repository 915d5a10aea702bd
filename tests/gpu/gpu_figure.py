# SPDX-License-Identifier: Apache-2.0
"""The figure of a run: time of a call over its batch, both logarithmic, a panel a network."""
import html
import math

import gpu_rows as rows_of

PANEL_WIDTH, PANEL_HEIGHT = 430, 430
LEFT, TOP, BOTTOM = 74, 86, 58
LABEL_WIDTH, LABEL_HEIGHT = 212, 17
COLUMN = LEFT + PANEL_WIDTH + LABEL_WIDTH
# Light and dark; Okabe and Ito's palette (2008), ours in its strong colours, others paler.
COLOURS = {
    'ours0': ('#d55e00', '#ff8a3d'), 'ours1': ('#b8860b', '#f0c14b'),
    'ours2': ('#0072b2', '#56b4e9'), 'ours3': ('#009e73', '#2fd6a3'),
    'cpu': ('#222222', '#f2f2f2'),
    'peer0': ('#8c510a', '#d8a066'), 'peer1': ('#7b4fa3', '#c3a2e0'),
    'peer2': ('#b2182b', '#f28a97'), 'peer3': ('#5f6b6d', '#a9b4b6'),
    'peer4': ('#35978f', '#7fd1c7')}
STYLE = ['.paper{fill:#ffffff}.ink{fill:#222222}.soft{fill:#555555}.grid{stroke:#e6e6e6}'
         '.frame{stroke:#888888}',
         '.paper{fill:#15181c}.ink{fill:#e8e8e8}.soft{fill:#b0b0b0}.grid{stroke:#30353b}'
         '.frame{stroke:#777777}']


def lines_of(rows):
    """(label, class, rows): of each technique the fastest of its kinds at each batch."""
    gpu, torch = rows_of.ours_on_gpu(rows), rows_of.matching(rows, backend=['torch'])
    found = [(f'Auspex, GPU, {rows_of.PRECISIONS[one]}', f'ours{number}',
              rows_of.matching(gpu, precision=[one]))
             for number, one in enumerate(('fp32', 'bf16', 'int8', 'int4'))]
    found.append(('Auspex, CPU, fastest', 'cpu', rows_of.ours_on_cpu(rows)))
    found += [
        ('PyTorch FP32 or TF32, dense', 'peer0',
         rows_of.matching(torch, technique=['dense'], precision=['fp32', 'tf32'])),
        ('PyTorch BF16 or FP16, dense', 'peer1',
         rows_of.matching(torch, technique=['dense'], precision=['bf16', 'fp16'])),
        ("PyTorch INT8 weights (paper's)", 'peer2', rows_of.paper(rows)),
        ('PyTorch 2:4', 'peer3', rows_of.matching(torch, technique=['semi_structured'])),
        ('PyTorch EmbeddingBag', 'peer4', rows_of.bags(rows))]
    return [(label, kind, rows_of.least(own)) for label, kind, own in found if own]


class Scale:
    """One for all panels: whole powers of ten, and the batches."""

    def __init__(self, rows):
        times_us = [max(row['median_us'], 1e-3) for row in rows] or [1]
        self.low = math.floor(math.log10(min(times_us)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(times_us))))
        self.last = max([row['batch'] for row in rows], default=2)

    def x(self, batch):
        return PANEL_WIDTH * (0.02 + 0.96 * math.log2(batch) / math.log2(max(2, self.last)))

    def y(self, time_us):
        share = (math.log10(max(time_us, 1e-3)) - self.low) / (self.high - self.low)
        return PANEL_HEIGHT * (1 - share)


def spread(wanted, height, low, high):
    """Places near the wanted ones, at least so far apart, within bounds if they all fit there."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    groups = []  # of labels that touch: [sum of places wanted at the group's top, count, top]
    for index in order:
        groups.append([wanted[index], 1, wanted[index]])
        while len(groups) > 1 and groups[-1][2] < groups[-2][2] + groups[-2][1] * height:
            total, count, _ = groups.pop()
            groups[-1][0] += total - count * groups[-1][1] * height
            groups[-1][1] += count
            groups[-1][2] = groups[-1][0] / groups[-1][1]
    places, tops = [0.0] * len(wanted), []
    for _, count, top in groups:
        tops += [top + number * height for number in range(count)]
    for number in range(len(tops)):  # down from the upper bound
        least = low if number == 0 else tops[number - 1] + height
        tops[number] = max(tops[number], least)
    for number in reversed(range(len(tops))):  # up from the lower one
        most = high if number == len(tops) - 1 else tops[number + 1] - height
        tops[number] = min(tops[number], most)
    for index, top in zip(order, tops):
        places[index] = top
    return places


def figure(results):
    rows = [row for row in results['rows'] if row['cache'] == 'warm']
    networks = rows_of.networks(rows) or ['no rows']
    shown = [row for hidden in networks
             for _, _, own in lines_of([row for row in rows if row['hidden'] == hidden])
             for row in own.values()]
    scale = Scale(shown)
    width, height = COLUMN * len(networks) + 16, TOP + PANEL_HEIGHT + BOTTOM
    card = (results.get('card') or {}).get('name') or (results.get('peers') or {}).get('card')
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
           f'width="{width}" height="{height}" role="img" font-family="sans-serif" '
           'font-size="12">', '<title>Time of a call over its batch</title>', _style(),
           f'<rect class="paper" width="{width}" height="{height}"/>',
           _text(20, 28, 'Time of a call over its batch', 'font-size="15" font-weight="bold"'),
           _text(20, 47, f"{card or 'no GPU'}, {results['date']}; median, warm caches; of each "
                 'line the fastest way at each batch', kind='soft')]
    for column, hidden in enumerate(networks):
        lines = lines_of([row for row in rows if row['hidden'] == hidden])
        out.append(f'<g transform="translate({COLUMN * column + LEFT} {TOP})">')
        out += _axes(scale, hidden) + _lines(scale, lines)
        out.append('</g>')
    return '\n'.join(out) + '\n</svg>\n'


def _style():
    """Class names and not attributes: a reader with a dark page sees the dark colours."""
    sheets = []
    for dark in (0, 1):
        rules = ''.join(f'.{name}{{stroke:{pair[dark]};color:{pair[dark]}}}.{name}f'
                        f'{{fill:{pair[dark]}}}' for name, pair in COLOURS.items())
        sheets.append(STYLE[dark] + rules)
    return (f'<style>{sheets[0]}\n@media (prefers-color-scheme: dark){{{sheets[1]}}}</style>')


def _text(x, y, text, more='', kind='ink'):
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" {more}>{html.escape(text)}</text>'


def _axes(scale, hidden):
    out = [_text(0, -12, hidden, 'font-weight="bold"')]
    for power in range(scale.low, scale.high + 1):
        y = scale.y(10.0 ** power)
        out.append(f'<line class="grid" x1="0" y1="{y:.1f}" x2="{PANEL_WIDTH}" y2="{y:.1f}"/>')
        out.append(_text(-7, y + 4, rows_of.time_text(10.0 ** power), 'text-anchor="end"'))
    batch = 1
    while batch <= scale.last:
        x = scale.x(batch)
        out.append(f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{PANEL_HEIGHT}"/>')
        out.append(_text(x, PANEL_HEIGHT + 17, str(batch), 'text-anchor="middle"'))
        batch *= 4
    out.append(f'<rect class="frame" width="{PANEL_WIDTH}" height="{PANEL_HEIGHT}" fill="none"/>')
    out.append(_text(PANEL_WIDTH / 2, PANEL_HEIGHT + 38, 'batch', 'text-anchor="middle"'))
    return out


def _lines(scale, lines):
    """Others thin and dashed, ours thick and on top; labels at the ends, none on another."""
    out = []
    ends = [scale.y(own[max(own)]['median_us']) for _, _, own in lines]
    places = spread(ends, LABEL_HEIGHT, 6, PANEL_HEIGHT - 6)
    for (label, kind, own), end, place in reversed(list(zip(lines, ends, places))):
        peer = kind.startswith('peer')
        stroke = 'stroke-width="1.5" stroke-dasharray="6 4"' if peer else 'stroke-width="3"'
        points = [(scale.x(batch), scale.y(own[batch]['median_us'])) for batch in sorted(own)]
        out.append(f'<polyline class="{kind}" fill="none" {stroke} points="'
                   + ' '.join(f'{x:.1f},{y:.1f}' for x, y in points) + '"/>')
        out += [f'<circle class="{kind}f" cx="{x:.1f}" cy="{y:.1f}" r="{2 if peer else 3.2}"/>'
                for x, y in points]
        from_x, to_x = points[-1][0] + 5, PANEL_WIDTH + 20
        out.append(f'<line class="{kind}" stroke-width="0.8" stroke-opacity="0.6" '
                   f'x1="{from_x:.1f}" y1="{end:.1f}" x2="{to_x}" y2="{place:.1f}"/>')
        weight = '' if peer else 'font-weight="bold"'
        out.append(_text(to_x + 4, place + 4, label, weight, f'{kind}f'))
    return out

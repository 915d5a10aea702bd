#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program that tests and benchmarks on a GPU, without one.

What it starts is played by small programs: the question is what becomes of its steps. PyTorch is
timed for real, on the CPU and with a tiny network. Report and figure are made of rows that were
measured (run_sample.json).
"""
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import child
import energy
import gpu_bench
import gpu_figure
import gpu_floor
import gpu_report
import gpu_rows
import gpu_tests

TORCH = importlib.util.find_spec('torch') is not None

PYTHON = f'#!{sys.executable}\n'
# Prints a row for each batch; CUDA's where it is asked for, or where all are.
BENCH = PYTHON + '''
import json, sys
words = sys.argv[1:]
asked = lambda name: [words[i + 1] for i, word in enumerate(words) if word == name]
rows = [{'technique': 'auspex', 'backend': backend, 'precision': 'int8', 'sparsity': 'none',
         'input': 'gather', 'hidden': hidden.replace(',', '-'), 'batch': int(batch),
         'cache': 'warm', 'median_us': median, 'p99_us': 2 * median, 'trials': 7}
        for hidden in asked('--hidden') for batch in asked('--batch')
        for backend, median in (('cuda', 8), ('cuda-kernel', 1.5), ('cuda-in-place', 1), ('vnni', 2),
                                ('avx2', 3), ('reference', 1), ('cuda-persistent', 4))
        if not asked('--backend') and backend != 'cuda-persistent'
        or {backend.replace('-kernel', '').replace('-in-place', ''),
            'int8-' + backend} & set(asked('--backend'))]
if not set(asked('--backend')) <= {'cuda', 'int8-cuda', 'int8-vnni', 'int8-avx2',
                                   'int8-cuda-persistent', 'bf16-cuda-persistent'}:
    sys.exit('no such backend')
print(json.dumps({'rows': rows}))
'''
# As GoogleTest does: its output file, and a line for each test that was all right.
TESTS = PYTHON + '''
import json, os, sys
tests = [('First', '0.1s', None), ('Large', '9s', None), ('Other', '0.2s', os.environ.get('BAD'))]
told = [word.split(':', 1)[1] for word in sys.argv if word.startswith('--gtest_output=json:')]
suite = []
for name, time, failure in tests:
    test = {'name': name, 'time': time, 'result': 'COMPLETED'}
    if os.environ.get('SKIPS'):
        test['result'] = 'SKIPPED'
    if failure:
        test['failures'] = [{'failure': '/home/somebody/x.cu:3\\nnot equal'}]
    suite.append(test)
    print(f'[       OK ] Cuda.{name} (1 ms)')
for path in told:
    with open(path, 'w') as file:
        json.dump({'testsuites': [{'name': 'Cuda', 'testsuite': suite}]}, file)
sys.exit(1 if os.environ.get('BAD') else 0)
'''
SANITIZER = PYTHON + '''
import os, subprocess, sys
program = next(i for i, word in enumerate(sys.argv) if word.endswith('cuda_device_test'))
subprocess.run(sys.argv[program:])
errors = 2 if sys.argv[2] == os.environ.get('BAD_TOOL') else 0
print('========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)'
      if sys.argv[2] == 'racecheck' else f'========= ERROR SUMMARY: {errors} errors')
sys.exit(86 if errors else 0)
'''
# A process that is lost over the second of three techniques, and one that goes on after it.
LOSES_ONE = PYTHON + '''
import json, os, signal, sys
first = int(sys.argv[sys.argv.index('--first') + 1])
with open(sys.argv[sys.argv.index('--out') + 1], 'w') as out:
    say = lambda **record: (out.write(json.dumps(record) + '\\n'), out.flush())
    if first == 0:
        say(kind='machine', torch='2')
    for number in range(first, 3):
        row = dict(technique='dense', backend='torch', precision='bf16', how='eager',
                   sparsity='none', input='dense', hidden='8', cache='warm')
        say(kind='begun', number=number, **row)
        if number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        say(kind='row', batch=1 + number, median_us=5, p99_us=6, trials=3, **row)
    out.write('{"kind": "row", "cut')
'''
NO_TORCH = '#!/bin/sh\nunset PYTHONPATH\nexec ' + sys.executable + ' -S "$@"\n'
HANGS = '#!/bin/sh\necho "[ RUN      ] Cuda.Hangs"\nsleep 1000 &\nwait\n'
TINY = '--device cpu --inputs 320 --hidden 32,16 --batch 1 --batch 16 --trials 20'


class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.place('build/bin/auspex', BENCH)
        self.place('build/bin/cuda_device_test', TESTS)
        self.place('build/compute-sanitizer/compute-sanitizer', SANITIZER)
        self.place('python', NO_TORCH)

    def at(self, name):
        return os.path.join(self.folder, name)

    def place(self, name, text):
        os.makedirs(os.path.dirname(self.at(name)), exist_ok=True)
        with open(self.at(name), 'w', encoding='utf-8') as file:
            file.write(text)
        os.chmod(self.at(name), 0o755)

    def command(self, *more):
        return [sys.executable, os.path.join(HERE, 'run'), '--build', self.at('build'), '--out',
                self.at('out'), '--python', self.at('python'), *more]

    def run_it(self, *more, code=0, **environment):
        done = subprocess.run(self.command(*more), text=True, capture_output=True, check=False,
                              env={**os.environ, 'OMP_NUM_THREADS': '1', **environment})
        self.assertEqual(done.returncode, code, done.stderr)
        with open(self.at('out/report.md'), encoding='utf-8') as file:
            self.report = file.read()
        self.assertNotIn(self.folder, self.report)
        xml.etree.ElementTree.parse(self.at('out/figure.svg'))
        return self.results()

    def results(self):
        with open(self.at('out/results.json'), encoding='utf-8') as file:
            text = file.read()
        self.assertNotIn(self.folder, text)
        return json.loads(text)

    def statuses(self, results):
        return {name: step['status'] for name, step in results['steps'].items()}

    def test_all_steps_are_run_and_told(self):
        results = self.run_it()
        self.assertEqual(self.statuses(results), {
            'build': 'skipped', 'tests': 'ok', 'bench': 'ok', 'peers': 'skipped',
            'sanitizer': 'ok'})
        self.assertIn('PyTorch cannot be loaded', results['steps']['peers']['reason'])
        self.assertEqual(results['tests']['passed'], 3)
        self.assertEqual({(row['hidden'], row['batch']) for row in results['rows']},
                         {(hidden, batch) for hidden in ('512-256-128', '1024-512-256')
                          for batch in gpu_bench.BATCHES})
        self.assertEqual({row['backend'] for row in results['rows']},
                         {'cuda', 'cuda-in-place', 'cuda-persistent', 'vnni', 'avx2'})
        self.assertEqual({row.get('device_median_us') for row in results['rows']}, {1.5, None})
        self.assertEqual(set(results['power_w']), {'idle', 'launches', 'persistent'})
        for tool in gpu_tests.TOOLS:
            self.assertEqual(results['sanitizer'][tool]['filter'], gpu_tests.SMALL)
        self.assertIn('3 passed, 0 failed', self.report)
        self.assertIn('no floor: the rate of a copy was not measured', self.report)

    def test_a_program_that_hangs_costs_itself_alone(self):
        self.place('build/bin/cuda_device_test', HANGS)
        results = self.run_it('--minutes', '0.5', '--skip', 'sanitizer', code=1)
        self.assertEqual(self.statuses(results)['tests'], 'timeout')
        self.assertEqual(self.statuses(results)['bench'], 'ok')
        self.assertIn('Cuda.Hangs', results['tests']['last_words'])
        self.assertIn('ended after', self.report)

    def test_programs_that_die_are_told(self):
        self.place('build/bin/auspex', '#!/bin/sh\nkill -SEGV $$\n')
        results = self.run_it('--sanitizer-filter', 'Cuda.Fir*', code=1, BAD='yes',
                              BAD_TOOL='initcheck')
        self.assertEqual(self.statuses(results), {
            'build': 'skipped', 'tests': 'failed', 'bench': 'failed', 'peers': 'skipped',
            'sanitizer': 'failed'})
        self.assertIn('signal 11', results['steps']['bench']['reason'])
        self.assertEqual(results['tests']['failures'],
                         [{'test': 'Cuda.Other', 'text': 'x.cu:3\nnot equal'}])
        self.assertEqual(results['sanitizer']['memcheck']['errors'], 0)
        self.assertEqual(results['sanitizer']['initcheck']['errors'], 2)
        self.assertEqual(results['sanitizer']['initcheck']['filter'], 'Cuda.Fir*')

    def test_what_checked_nothing_is_no_success(self):
        os.remove(self.at('build/bin/auspex'))
        self.place('build/compute-sanitizer/compute-sanitizer', '#!/bin/sh\nexit 0\n')
        results = self.run_it(code=1, SKIPS='yes')
        self.assertIn('no test ran', results['steps']['tests']['reason'])
        self.assertIn('No such file', results['steps']['bench']['reason'])
        self.assertEqual(results['sanitizer']['memcheck']['reason'], 'no summary was printed')
        self.place('build/bin/auspex', BENCH.replace("('cuda', 8), ('cuda-kernel', 1.5), ", ''))
        results = self.run_it('--skip', 'tests', '--skip', 'sanitizer', code=1)
        self.assertEqual(results['steps']['bench']['reason'], 'no row is of the CUDA backend')

    def test_a_lost_process_of_the_peers_is_followed_by_another(self):
        self.place('python', LOSES_ONE)
        results = self.run_it('--skip', 'tests', '--skip', 'sanitizer', '--skip', 'bench')
        self.assertEqual([row['batch'] for row in results['rows']], [1, 3])
        self.assertIn('signal 11', results['rows_without_time'][0]['error'])
        self.assertIn('1 of its processes', results['steps']['peers']['reason'])

    @unittest.skipUnless(TORCH, 'PyTorch is not installed for this Python')
    def test_rows_of_pytorch_are_merged(self):
        more = ['--python', sys.executable, '--peers', TINY + ' --only embedding_bag --how eager']
        results = self.run_it(*more)
        self.assertEqual(self.statuses(results)['peers'], 'ok')
        self.assertEqual(sum(row['backend'] == 'torch' and row['precision'] == 'fp32'
                             for row in results['rows']), 2)
        known = gpu_floor.rates(results['ceilings'])  # what this PyTorch cannot do has its error
        self.assertLessEqual(set(known.nominal), {'int8', 'fp16'})
        self.assertEqual(known.unknown, [])
        self.assertIn('PyTorch FP32 EmbeddingBag, eager', self.report)

    def test_being_stopped_leaves_a_report_and_no_process(self):
        os.mkfifo(self.at('pipe'))
        self.place('build/bin/cuda_device_test', f'#!/bin/sh\nexec 3>{self.at("pipe")}\n'
                   'echo running >&3\nsleep 1000 &\nwait\n')
        with subprocess.Popen(self.command(), stderr=subprocess.PIPE, text=True) as program:
            with open(self.at('pipe'), encoding='utf-8') as pipe:
                self.assertEqual(pipe.readline(), 'running\n')
                program.send_signal(signal.SIGTERM)
                self.assertEqual(pipe.read(), '')  # when the last of its processes is gone
            program.communicate()
        self.assertEqual(program.returncode, 1)
        self.assertEqual(set(self.statuses(self.results()).values()), {'skipped', 'failed'})
        self.assertTrue(os.path.exists(self.at('out/report.md')))

    def test_being_stopped_twice_leaves_no_process_either(self):
        os.mkfifo(self.at('pipe'))
        self.place('build/bin/cuda_device_test', f'#!/bin/sh\ntrap "" TERM\nexec 3>{self.at("pipe")}\n'
                   'echo running >&3\nwhile :; do sleep 0.1; done\n')
        command = self.command('--skip', 'sanitizer')
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
            with open(self.at('pipe'), encoding='utf-8') as pipe:
                self.assertEqual(pipe.readline(), 'running\n')
                for _ in range(3):
                    program.send_signal(signal.SIGTERM)
                self.assertEqual(pipe.read(), '')
            program.communicate()
        self.assertEqual(program.returncode, 1)

    def test_wrong_words_are_named(self):
        for words in (['--minutes', '0'], ['--minutes', 'nan'], ['--minutes', '61'],
                      ['--build', '/nowhere'], ['--skip', 'nothing'],
                      ['--sanitizer-filter', 'a b'], ['--out', '/proc/nowhere']):
            done = subprocess.run(self.command(*words), text=True, capture_output=True,
                                  check=False)
            self.assertEqual(done.returncode, 2, words)
            self.assertIn(words[0], done.stderr)


class Choices(unittest.TestCase):
    def test_compute_sanitizer_is_looked_for(self):
        with tempfile.TemporaryDirectory() as folder, \
                unittest.mock.patch.dict(os.environ, {'PATH': folder}), \
                unittest.mock.patch.object(gpu_tests, 'PLACES', (folder + '/cuda*/bin',)):
            self.assertIsNone(gpu_tests.sanitizer_of(folder))
            found = gpu_tests.check('no', folder, {'tests': '*', 'sanitizer': '*'}, 9, {})
            self.assertEqual(found['sanitizer']['status'], 'skipped')
            self.assertEqual(found['tests']['status'], 'missing')
            for version in ('12.1', '12.8'):
                path = os.path.join(folder, f'cuda-{version}', 'bin', 'compute-sanitizer')
                os.makedirs(os.path.dirname(path))
                with open(path, 'w', encoding='utf-8'):
                    os.chmod(path, 0o755)
            self.assertEqual(gpu_tests.sanitizer_of(folder), path)

    def test_programs_at_the_same_time(self):
        shell = [['sh', '-c', text] for text in ('sleep 1; echo one', 'exit 3', 'sleep 60')]
        ended = child.run_together([*shell, ['/nowhere']], 3)
        self.assertEqual([one.status for one in ended], ['ok', 'failed', 'timeout', 'missing'])
        self.assertEqual(ended[0].out, 'one\n')
        self.assertEqual([one.reason for one in ended[1:3]], ['exit code 3', 'ended after 3 s'])
        self.assertLess(ended[1].seconds, ended[0].seconds)  # each has its own

    def test_fastest_backends_of_the_cpu(self):
        def row(precision, backend, batch, median_us, sparsity='none'):
            return {'precision': precision, 'backend': backend, 'batch': batch,
                    'median_us': median_us, 'sparsity': sparsity}
        rows = [row('fp32', 'reference', 1, 1), row('int8', 'vnni', 1, 3, '2:4'),
                row('int8', 'vnni', 1, 2, 'rows'), row('int8', 'vnni', 1, 4),
                row('int4', 'avx2', 1, 5), row('bf16', 'avx512', 1, 6),
                row('bf16', 'avx512', 64, 7), row('int8', 'vnni', 64, 8)]
        self.assertEqual(gpu_bench.chosen(rows),
                         ['int8-vnni', 'int8-2:4-vnni', 'int4-avx2', 'bf16-avx512'])
        self.assertEqual(gpu_bench.chosen(rows + [row('int8', 'cuda', 1, 9)])[0], 'cuda')
        self.assertEqual(gpu_bench.chosen([]), [])


class Output(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(HERE, 'run_sample.json'), encoding='utf-8') as file:
            self.results = json.load(file)
        # No card was there: the CPU's rows again, under the GPU's name and faster.
        for row in [row for row in self.results['rows'] if gpu_rows.is_ours(row)]:
            times = {field: row[field] / 4 for field in ('median_us', 'p99_us')}
            self.results['rows'].append({**row, 'backend': 'cuda', **times})
        self.results['ceilings']['copy']['gb_per_s'] = 2000

    def test_tables_are_whole(self):
        text = gpu_report.report(self.results)
        tables = re.findall(r'(?:^\|.*\n)+', text, re.MULTILINE)
        self.assertGreater(len(tables), 6)
        for table in tables:
            self.assertEqual(len({len(re.findall(r'(?<!\\)\|', line))
                                  for line in table.strip().split('\n')}), 1, table)
        for row in self.results['rows'] + self.results['rows_without_time']:
            self.assertIn(f'| {gpu_rows.name(row)} |', text)

    def test_power_is_that_of_the_second_that_took_most(self):
        seen = [(0, None), (0, 0), (0.5, 50_000), (1, 150_000), (1.5, 250_000), (2, 260_000)]
        self.assertEqual(energy.highest_power_w(seen, 1), 200)
        self.assertIsNone(energy.highest_power_w(seen, 3))
        self.assertIsNone(energy.highest_power_w([(0, None), (2, None)], 1))
        told = {**self.results, 'power_w': {'idle': 70.5, 'launches': None, 'persistent': 99}}
        text = gpu_report.report(told)
        self.assertIn('| power, before anything was asked | 70.5 W |', text)
        self.assertNotIn('each a launch', text)

    def test_what_had_no_time_is_one_sentence(self):
        late = {**self.results['rows_without_time'][0],
                'error': 'not begun: time is up; batch 1, 64'}
        other = {**late, 'error': 'not begun: time is up; batch 4'}
        text = gpu_report.report({**self.results, 'rows_without_time': [late, other]})
        self.assertIn(f'time was up before these, of batches: {gpu_rows.name(late)} (1, 64, 4).',
                      text)

    def test_ratios_are_those_of_the_fastest(self):
        rows = self.results['rows']
        theirs = min(row['median_us'] for row in gpu_rows.paper(rows) if row['batch'] == 1)
        ours = min(row['median_us'] for row in rows
                   if row['backend'] == 'cuda' and row['batch'] == 1)
        line = next(line for line in gpu_report.ratios(rows).split('\n')
                    if "paper's" in line and 'CUDA, fastest' in line)
        self.assertEqual(line.split('|')[3].strip(), f'{theirs / ours:.3g}')

    def test_floors_are_told(self):
        ceilings = {'copy': {'gb_per_s': 4000}, 'matmul_bf16': {'tflop_per_s': 800}}
        results = {**self.results, 'ceilings': ceilings}
        for row in gpu_rows.matching(results['rows'], backend=['cuda']):
            row.update(median_us=600, device_median_us=59.822336)
        of_cpu, of_card = gpu_report.report(results).split('On the card')
        self.assertIn('| 1 | Auspex CPU vnni INT8 | 179712 | 2.71 µs |', of_cpu)
        self.assertNotIn('CUDA', of_cpu.split('## Time over')[1])
        self.assertRegex(of_card, r'INT8 \|.* 59.8 µs, 2.0x \|\n\| floor \|.* 29.9 µs, bytes \|')
        self.assertIn('INT8 2x, FP16 1x, TF32 0.5x; no rate, so bytes alone: FP32.', of_card)
        ceilings.update(to_card={'gb_per_s': 50}, from_card={'gb_per_s': 10})
        text = gpu_report.report(results)  # 40 bytes at 10 GB/s take longer than 84 at 50
        self.assertRegex(text, r'INT8 \|.* 600 µs, 9.2x \|\n\| floor \|.* 65.5 µs, bus \|')

    def test_no_label_is_on_another(self):
        root = xml.etree.ElementTree.fromstring(gpu_figure.figure(self.results))
        space = '{http://www.w3.org/2000/svg}'
        panels = root.findall(f'{space}g')
        self.assertEqual(len(panels), len(gpu_rows.networks(self.results['rows'])))
        for panel in panels:
            labels = [text for text in panel.findall(f'{space}text')
                      if text.get('class').endswith('f')]
            self.assertEqual(len(labels), len(panel.findall(f'{space}polyline')))
            self.assertGreater(len(labels), 2)
            heights = sorted(float(text.get('y')) for text in labels)
            for one, other in zip(heights, heights[1:]):
                self.assertGreaterEqual(other - one, gpu_figure.LABEL_HEIGHT - 0.11)
            self.assertLess(heights[-1], gpu_figure.PANEL_HEIGHT)

    def test_places_of_labels(self):
        for wanted in ([], [5], [5, 5, 5], [0, 100], [99, 98, 97, 3], [50, 52, 60, 40, 41]):
            places = gpu_figure.spread(wanted, 10, 0, 100)
            self.assertEqual(sorted(range(len(wanted)), key=lambda i: (places[i], i)),
                             sorted(range(len(wanted)), key=lambda i: (wanted[i], i)))
            for one, other in zip(sorted(places), sorted(places)[1:]):
                self.assertGreaterEqual(other - one, 10 - 1e-9)
            self.assertTrue(all(0 <= place <= 100 for place in places))
        self.assertEqual(gpu_figure.spread([20, 60], 10, 0, 100), [20, 60])

    def test_nothing_measured_is_a_report_too(self):
        empty = {**self.results, 'rows': [], 'rows_without_time': [], 'card': None, 'peers': None,
                 'processor': None, 'ceilings': {}, 'tests': None, 'sanitizer': {}, 'steps': {}}
        self.assertIn('no GPU', gpu_report.report(empty))
        xml.etree.ElementTree.fromstring(gpu_figure.figure(empty))


if __name__ == '__main__':
    unittest.main()

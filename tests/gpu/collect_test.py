#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program that measures models on a GPU, without one: its plan, its file, and its processes.

What needs PyTorch runs the real program on the CPU with tiny models, and is skipped without it.
"""
import collections
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import crew
import energy
import journal
import plan

TORCH = importlib.util.find_spec('torch') is not None

# Models that misbehave; `python:` is how the program is given a model of one's own.
MODELS = '''
import os, signal, torch

class Model(torch.nn.Module):
    def __init__(self, act):
        super().__init__()
        self.act = act
        self.line = torch.nn.Linear(8, 8)

    def forward(self, given):
        self.act(given)
        return self.line(given)

def quits(shape):
    return Model(lambda given: os._exit(3))

def killed(shape):
    return Model(lambda given: os.kill(os.getpid(), signal.SIGKILL))

def hangs(shape):
    return Model(lambda given: signal.pause())

def full(shape):
    def act(given):
        raise RuntimeError('CUDA out of memory. Tried to allocate 7 GiB in /home/somebody/x.py')
    return Model(act)

def exhausted(shape):
    def act(given):
        raise torch.cuda.OutOfMemoryError('no room')
    return Model(act)

def unbuilt(shape):
    raise ValueError('never in /home/somebody/models/this.py')

seen = []

def keeps(shape):
    """Fails for the second batch size that it sees in one process."""
    def act(given):
        seen.append(len(given))
        if len(set(seen)) > 1:
            raise RuntimeError('made for another batch')
    return Model(act)

def announced(shape):
    """Tells that it runs, and by the pipe's end that its process is gone."""
    pipe = os.open(os.environ['ANNOUNCE'], os.O_WRONLY)
    os.write(pipe, b'running')
    return Model(lambda given: signal.pause())
'''


def own(batch, **more):
    return {'model': 'own:mlp-d2-w8', 'input': [8], 'batch': batch, **more}


def given(function, batch=2, **more):
    return {'model': f'python:misfits:{function}', 'input': [8], 'batch': batch, **more}


class Plan(unittest.TestCase):
    def setUp(self):
        self.visits = plan.visits(1, plan.families(), plan.LIBRARIES)
        self.tasks = [task for visit in self.visits for task in visit]

    def test_it_is_large_and_repeats_nothing(self):
        self.assertGreaterEqual(len(self.tasks), 1600)
        self.assertEqual(len({task['key'] for task in self.tasks}), len(self.tasks))

    def test_each_quarter_holds_every_family_mode_precision_and_optimizer(self):
        quarter = len(self.tasks) // 4
        for start in range(3):  # in the last one, small families have run out
            part = self.tasks[start * quarter:(start + 1) * quarter]
            cells = {(task['mode'], task['precision']) for task in part}
            self.assertEqual(cells, {(m, p) for m in plan.MODES for p in plan.PRECISIONS})
            self.assertEqual({task['optimizer'] for task in part}, {None, *plan.OPTIMIZERS})
        self.assertEqual({task['family'] for task in self.tasks[:quarter]}, set(plan.families()))

    def test_batches_reach_from_one_to_hundreds(self):
        batches = collections.Counter(task['batch'] for task in self.tasks)
        self.assertLessEqual(set(plan.POWERS), set(batches))
        self.assertGreater(batches.keys() & set(plan.OTHERS), set())

    def test_a_seed_is_a_plan(self):
        self.assertEqual(self.visits, plan.visits(1, plan.families(), plan.LIBRARIES))
        self.assertNotEqual(self.visits, plan.visits(2, plan.families(), plan.LIBRARIES))

    def test_only_what_is_installed_and_wanted(self):
        sources = {task['model'].split(':')[0] for visit in plan.visits(1, plan.families(), [])
                   for task in visit}
        self.assertEqual(sources, {'own'})
        names = {visit[0]['family'] for visit in plan.visits(1, ['vgg'], plan.LIBRARIES)}
        self.assertEqual(names, {'vgg'})

    def test_weights_of_one_kind_stay_together(self):
        for visit in self.visits:
            places = [(plan.weights(task), task['memory_format']) for task in visit]
            changes = sum(one != other for one, other in zip(places, places[1:]))
            self.assertEqual(changes + 1, len(set(places)))

    def test_the_table_adds_up(self):
        last = plan.table(self.visits).split('\n')[-1].split()
        self.assertEqual(last[:3], ['together', str(len(self.visits)), str(len(self.tasks))])


class File(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, 'results.jsonl')

    def write(self, text):
        with open(self.path, 'w', encoding='utf-8') as file:
            file.write(text)

    def test_every_truncation_keeps_the_whole_lines(self):
        lines = '{"key": "a"}\n{"key": "b"}\n'
        for length in range(len(lines) + 1):
            self.write(lines[:length])
            with journal.Journal(self.path) as results:
                self.assertEqual(sorted(results.done), ['a', 'b'][:lines[:length].count('\n')])
                results.append({'key': 'c'})
            with journal.Journal(self.path) as results:
                self.assertIn('c', results.done)

    def test_what_is_no_result_file_is_refused(self):
        for text in ('no json\n', '{"key": "a"}\n[1]\n'):
            self.write(text)
            with self.assertRaises(journal.Refused):
                journal.Journal(self.path)

    def test_two_runs_do_not_share_a_file(self):
        with journal.Journal(self.path), self.assertRaises(journal.Refused):
            journal.Journal(self.path)

    def test_a_file_is_of_one_card(self):
        with journal.Journal(self.path) as results:
            results.begin({'kind': 'machine', 'card': 'A'})
        with journal.Journal(self.path) as results:
            with self.assertRaises(journal.Refused):
                results.begin({'kind': 'machine', 'card': 'B'})
            results.begin({'kind': 'machine', 'card': 'A'})
            self.assertEqual(results.run, 2)


class Energy(unittest.TestCase):
    def test_a_counter_that_steps_is_read_at_its_steps(self):
        # 300 W, brought up to date every 100 ms, looked at every 5 ms from 33 ms on.
        seen = [(at / 1000, 300 * (at - at % 100)) for at in range(33, 480, 5)]
        power = energy.mean_power(seen)
        self.assertAlmostEqual(power['mean_power_w'], 300, delta=0.01)
        self.assertEqual((power['window_s'], power['steps']), (0.3, 4))

    def test_a_counter_that_hardly_moves_is_read_at_the_ends(self):
        self.assertEqual(energy.mean_power([(0, 0), (0.1, 30000), (0.2, 30000)])['window_j'], 30)

    def test_no_counter_no_energy(self):
        self.assertIsNone(energy.mean_power([(0, None), (1, None)]))


@unittest.skipUnless(TORCH, 'PyTorch is not installed for this Python')
class Program(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = self.at('results.jsonl')
        with open(self.at('misfits.py'), 'w', encoding='utf-8') as file:
            file.write(MODELS)
        self.environment = {**os.environ, 'PYTHONPATH': self.folder, 'OMP_NUM_THREADS': '1'}

    def at(self, name):
        return os.path.join(self.folder, name)

    def command(self, tasks, *options):
        with open(self.at('plan.json'), 'w', encoding='utf-8') as file:
            json.dump(tasks, file)
        return [sys.executable, os.path.join(HERE, 'collect'), '--device', 'cpu', '--out', self.out,
                '--plan', self.at('plan.json'), *options]

    def collect(self, tasks, *options, code=0):
        done = subprocess.run(self.command(tasks, *options), env=self.environment, text=True,
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stderr

    def records(self):
        with open(self.out, encoding='utf-8') as file:
            return [json.loads(line) for line in file]

    def measured(self):
        return [record for record in self.records() if record['kind'] != 'machine']

    def test_every_mode_and_precision_is_measured(self):
        tasks = [own(2, mode=mode, precision=precision, optimizer=optimizer)
                 for mode in plan.MODES for precision in ('fp32', 'bf16')
                 for optimizer in (plan.OPTIMIZERS if mode == 'train' else ['sgd'])]
        tasks += [{'model': f'own:{name}', 'input': shape, 'batch': 2, 'mode': 'train'}
                  for name, shape in (('lstm-l1-w8', [4, 3]), ('gru-l1-w8', [4, 3]),
                                      ('encoder-l1-w8-h2', [4, 3]), ('tcn-l2-w4', [3, 16]),
                                      ('unet-w2-d2', [3, 8, 8]))]
        tasks.append({'kind': 'calibration', 'name': 'launch'})
        self.assertIn('all done: 14/14 measured', self.collect(tasks + tasks[:1]))
        machine, *records = self.records()
        self.assertEqual((machine['kind'], machine['device'], machine['run']),
                         ('machine', 'cpu', 1))
        for record in records:
            self.assertEqual(record['status'], 'ok', record)
        for record in records[:-1]:
            self.assertGreaterEqual(record['latency']['runs'], 5)
            wall = record['latency']['wall_ms']
            self.assertLessEqual(wall['p10'], wall['median'])
            self.assertLessEqual(wall['median'], wall['p90'])
        mlp = records[0]
        self.assertEqual(mlp['parameters'], 8 * 8 + 8 + 8 * 16 + 16)
        self.assertEqual(mlp['parameter_bytes'], 4 * mlp['parameters'])
        self.assertEqual(mlp['input_bytes'], 2 * 8 * 4)
        self.assertTrue(all(row['host_us'] > 0 for row in records[-1]['rows']))

    def test_what_fails_hangs_or_dies_costs_itself_alone(self):
        functions = ('unbuilt', 'quits', 'killed', 'hangs', 'full', 'exhausted')
        tasks = [own(1)]
        for number, function in enumerate(functions):
            tasks += [given(function), own(2 + number)]
        self.collect(tasks, '--timeout', '5')
        self.assertEqual([record['status'] for record in self.measured()],
                         ['ok', 'error', 'ok', 'error', 'ok', 'error', 'ok', 'timeout', 'ok', 'oom',
                          'ok', 'oom', 'ok'])
        told = {record['model'].split(':')[-1]: record.get('error') for record in self.measured()}
        self.assertEqual(told['unbuilt'], 'ValueError: never in this.py')
        self.assertIn('exit 3', told['quits'])
        self.assertIn('signal 9', told['killed'])
        self.assertNotIn('somebody', told['full'])

    def test_what_fails_in_a_used_process_is_tried_in_a_fresh_one(self):
        self.collect([given('keeps', 2), given('keeps', 3), given('keeps', 4)])
        self.assertEqual([(record['status'], record['measured_before'])
                          for record in self.measured()], [('ok', 0)] * 3)

    def test_a_cut_file_is_carried_on(self):
        tasks = [own(batch) for batch in range(1, 5)]
        self.collect(tasks)
        with open(self.out, 'rb+') as file:
            file.truncate(os.path.getsize(self.out) - 9)
        whole = self.records_of_whole_lines()
        self.assertIn('4/4 measured; in this run 1 ok', self.collect(tasks))
        self.assertEqual(self.records()[:len(whole)], whole)
        self.assertEqual(sorted(record['batch'] for record in self.measured()), [1, 2, 3, 4])
        before = self.records()
        self.collect(tasks)
        self.assertEqual(self.records(), before)

    def records_of_whole_lines(self):
        with open(self.out, encoding='utf-8') as file:
            return [json.loads(line) for line in file if line.endswith('\n')]

    def test_nothing_is_begun_that_would_end_too_late(self):
        self.assertIn('time is up: 0/2 measured', self.collect([own(1), own(2)], '--minutes', '0'))
        self.assertEqual(self.measured(), [])

    def test_one_failure_after_another_ends_the_run(self):
        tasks = [given('unbuilt', batch, family=f'family {batch % 3}') for batch in range(1, 22)]
        self.assertIn('fails: 12/21 measured', self.collect(tasks, code=1))

    def test_a_run_that_is_ended_leaves_no_process_and_a_whole_file(self):
        for number, code in ((signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGKILL, -9)):
            pipe = self.at(f'pipe{number}')
            os.mkfifo(pipe)
            tasks = [own(int(number)), given('announced')]
            with subprocess.Popen(self.command(tasks), stderr=subprocess.PIPE, text=True,
                                  env={**self.environment, 'ANNOUNCE': pipe}) as program:
                with open(pipe, 'rb') as running:  # as soon as the model is made
                    self.assertEqual(running.read(7), b'running')
                    program.send_signal(number)
                    self.assertEqual(running.read(), b'')  # when its process is gone
                told = program.stderr.read()
            self.assertEqual(program.returncode, code, told)
            if code == 0:
                self.assertIn('stopped as asked: 1/2 measured', told)
            self.assertEqual(self.measured()[-1]['batch'], int(number))
        self.assertEqual([record['status'] for record in self.measured()], ['ok'] * 3)

    def test_without_a_card_it_says_so(self):
        command = self.command([own(1)])
        command[command.index('cpu')] = 'cuda'
        done = subprocess.run(command, env={**self.environment, 'CUDA_VISIBLE_DEVICES': ''},
                              text=True, capture_output=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, '^collect: .*(CUDA|NVIDIA)')

    def test_a_worker_that_may_not_fork_measures_too(self):
        task = plan.task(plan.Model('mlp', 'own:mlp-d2-w8', [8], 1, 1, 1, 1), 2, 'fp32',
                         'inference', None, 'contiguous')
        with crew.Crew('cpu', [], lambda: None, fork=False) as workers:
            for before in (0, 1):
                self.assertEqual(workers.ask('measure', task)['measured_before'], before)
            workers.dismiss()
            self.assertEqual(workers.ask('measure', task)['measured_before'], 0)


class CommandLine(unittest.TestCase):
    def test_the_plan_is_listed_without_measuring(self):
        done = subprocess.run([sys.executable, os.path.join(HERE, 'collect'), '--list'], text=True,
                              capture_output=True, check=True)
        self.assertIn('together', done.stdout)

    def test_wrong_words_are_named(self):
        for words in ([], ['--list', '--families', 'vgg,nosuch'], ['--list', '--device', 'tpu']):
            done = subprocess.run([sys.executable, os.path.join(HERE, 'collect'), *words],
                                  text=True, capture_output=True, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn((words or ['--out'])[-1].split(',')[-1], done.stderr)


if __name__ == '__main__':
    unittest.main()

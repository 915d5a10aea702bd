#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house, as a test: who may include whom, what may be linked, how files begin."""
import os
import re
import shutil
import subprocess
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..')
BUILD = os.environ['AUSPEX_BUILD_DIR']

# folder -> folders it may include. Arrows point one way; a new one needs a reason in its commit.
ARROWS = {
    'shared': set(),
    'ipc': {'shared'},
    'graph': {'shared'},
    'kernels': {'shared'},
    'daemon': {'ipc', 'kernels', 'shared'},
    'plugin': {'ipc', 'shared'},
    'learn': {'shared', 'kernels'},
    'cli': {'daemon', 'graph', 'ipc', 'kernels', 'learn', 'shared'},
}
# The plugin's code runs inside slurmctld: of ipc only the client's side, of shared only values.
PLUGIN_MAY = {'ipc/client.h', 'ipc/codec.h', 'ipc/protocol.h', 'shared/decision.h',
              'shared/submission.h', 'shared/result.h'}

CODE = ('.cc', '.h', '.fbs', '.py', '.sh', '.cmake', '.yaml')
MAX_LINES = 400
# A longer file needs a reason here.
LONG_FILES = {}


def tracked():
    command = ['git', '-C', ROOT, 'ls-files', '--cached', '--others', '--exclude-standard']
    listed = None
    if shutil.which('git'):
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed and listed.returncode == 0:
        names = listed.stdout.split('\n')
    else:  # an unpacked release is no checkout
        names = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, _, files in os.walk(ROOT) for name in files]
    return sorted(name for name in names if os.path.isfile(os.path.join(ROOT, name))
                  and not name.startswith('build'))


def text_of(name):
    with open(os.path.join(ROOT, name), encoding='utf-8') as file:
        return file.read()


def sources(folder):
    return [name for name in tracked() if name.startswith(folder + '/')
            and name.endswith(('.cc', '.h'))]


def included(name):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', text_of(name), re.MULTILINE)


def needed(program):
    out = subprocess.run(['readelf', '-d', os.path.join(BUILD, program)], capture_output=True,
                         text=True, check=True).stdout
    return re.findall(r'NEEDED.*\[(.+?)\]', out)


class Arrows(unittest.TestCase):
    def test_each_folder_includes_only_what_its_arrows_allow(self):
        for folder, allowed in ARROWS.items():
            self.assertTrue(sources(folder), f'{folder} has no sources')
            for name in sources(folder):
                for header in included(name):
                    self.assertIn('/', header, f'{name}: "{header}" without its folder')
                    other = header.split('/')[0]
                    self.assertIn(other, allowed | {folder}, f'{name} includes {header}')

    def test_the_plugin_includes_little(self):
        for name in sources('plugin'):
            for header in included(name):
                if not header.startswith('plugin/'):
                    self.assertIn(header, PLUGIN_MAY, f'{name} includes {header}')

    def test_every_folder_has_its_arrows(self):
        folders = {name.split('/')[0] for name in tracked() if name.endswith(('.cc', '.h'))}
        self.assertEqual(folders - {'tests'}, set(ARROWS))

    def test_torch_stays_in_learn(self):
        for name in tracked():
            if name.endswith(('.cc', '.h')) and not name.startswith('learn/'):
                self.assertNotRegex(text_of(name), r'#\s*include\s*[<"](torch|ATen|c10)/', name)

    def test_files_for_one_instruction_set_instantiate_no_standard_template(self):
        isa = [name for name in sources('kernels')
               if re.search(r'/(fp32|int8)_(?!trunk)|/lanes\.h', name)]
        self.assertTrue(isa)
        for name in isa:
            for header in re.findall(r'#\s*include\s*<([^>]+)>', text_of(name)):
                self.assertIn(header, {'stddef.h', 'stdint.h', 'immintrin.h'}, name)


class Linking(unittest.TestCase):
    def test_no_torch_in_daemon_and_plugin(self):
        for program in ('bin/auspexd', 'bin/auspex', 'lib/job_submit_auspex.so'):
            for library in needed(program):
                self.assertNotRegex(library, 'torch|c10', program)

    def test_the_plugin_needs_libc_only(self):
        libraries = needed('lib/job_submit_auspex.so')
        sanitized = [name for name in libraries if re.match(r'lib[atu]\w*san', name)]
        if not sanitized:
            self.assertLessEqual(set(libraries), {'libc.so.6', 'libm.so.6',
                                                  'ld-linux-x86-64.so.2'})


class Files(unittest.TestCase):
    def test_code_begins_with_its_licence(self):
        for name in tracked():
            base = os.path.basename(name)
            if name.endswith(CODE) or base in ('CMakeLists.txt', 'Makefile'):
                head = '\n'.join(text_of(name).split('\n')[:2])
                self.assertIn('SPDX-License-Identifier: Apache-2.0', head, name)

    def test_no_file_eats_the_project(self):
        for name in tracked():
            if name.endswith(('.cc', '.h', '.py')):
                lines = text_of(name).count('\n')
                self.assertLessEqual(lines, LONG_FILES.get(name, MAX_LINES), name)

    def test_lines_fit_the_page(self):
        for name in tracked():
            if name.endswith(('.cc', '.h')):
                for number, line in enumerate(text_of(name).split('\n'), 1):
                    self.assertLessEqual(len(line), 100, f'{name}:{number}')


if __name__ == '__main__':
    unittest.main()

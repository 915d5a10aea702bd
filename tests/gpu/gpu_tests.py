# SPDX-License-Identifier: Apache-2.0
"""The tests that need a GPU, and the same ones under compute-sanitizer."""
import glob
import json
import os
import re
import shutil
import tempfile

import child

TOOLS = ('memcheck', 'racecheck', 'synccheck', 'initcheck')
ERROR_CODE = 86     # what compute-sanitizer is told to exit with where it finds something
PLACES = ('/usr/local/cuda*/bin', '/usr/local/cuda*/compute-sanitizer', '/opt/cuda*/bin')
FAILURE_CHARACTERS = 600
# Under compute-sanitizer: every kernel at its edges, but such as stay on the card. A tool that waits
# for each launch's end waits for those in vain.
SMALL = ':'.join(('Cuda.AgreesWithTheReference', 'Cuda.InARoom*', 'Cuda.WhatOverflows*',
                  'CudaDense.MultipliesTheFirstRow*', 'CudaDense.WhatOverflows*', 'CudaGraph.*'))
# A module of another version, no driver, one that is none: a machine with a GPU has no such thing.
ELSEWHERE = 'CudaOtherVersion.*:CudaNoDriver.*:CudaRealModule.*'
# A card that is watched, and shared, takes longer for its work than one that is lost may.
PATIENCE = {'AUSPEX_CUDA_PATIENCE_MS': '60000'}


def check(program, build, wanted, limit_s, environment):
    """All tests, and some under each tool of compute-sanitizer, at the same time: nothing is timed.

    wanted: of 'tests' and 'sanitizer' -> a filter, or None. Returns by name what was found.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = os.path.join(folder, 'tests.json')
        tests = [program, f'--gtest_output=json:{told}', f"--gtest_filter={wanted['tests']}"]
        commands = {'tests': tests} if wanted['tests'] else {}
        tool_path = sanitizer_of(build)
        if wanted['sanitizer'] and tool_path:
            for tool in TOOLS:
                commands[tool] = [
                    tool_path, '--tool', tool, '--error-exitcode', str(ERROR_CODE),
                    '--print-limit', '20', program, f"--gtest_filter={wanted['sanitizer']}"]
        together = child.run_together(commands.values(), limit_s, {**environment, **PATIENCE})
        ended = dict(zip(commands, together))
        found = {'tools': {tool: _judged(ended[tool], wanted['sanitizer'])
                           for tool in TOOLS if tool in ended}}
        if 'tests' in ended:
            found['tests'] = _tests(ended['tests'], _read(told))
    if wanted['sanitizer']:
        found['sanitizer'] = _step(found['tools'])
    return found


def _tests(ended, listed):
    """Counts and failures of the whole program; as much as is known where it does not end."""
    found = ended.record()
    if listed is None:
        found['last_words'] = child.tail(ended.out + '\n' + ended.errors)
        if ended.status == 'ok':
            found.update(status='failed', reason='it wrote no results')
        return found
    found.update(_counted(listed))
    if found['failures'] and ended.status == 'ok':
        found.update(status='failed', reason='tests failed')
    if found['failures'] and ended.status == 'failed':
        found['reason'] = f"{len(found['failures'])} tests failed"
    if found['status'] == 'ok' and found['passed'] == 0:
        found.update(status='failed', reason='no test ran: is there a GPU?')
    return found


def _step(tools):
    if not tools:
        return {'status': 'skipped', 'seconds': 0, 'reason': 'compute-sanitizer is not installed'}
    bad = [f"{tool} {one['status']}" for tool, one in tools.items() if one['status'] != 'ok']
    step = {'status': 'failed' if bad else 'ok',
            'seconds': max(one['seconds'] for one in tools.values())}
    if bad:
        step['reason'] = ', '.join(bad)
    return step


def _read(path):
    try:
        with open(path, encoding='utf-8') as file:
            told = json.load(file)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _counted(listed):
    """GoogleTest's JSON, by test. Source: its guide, "Generating a JSON Report"."""
    found = {'passed': 0, 'skipped': 0, 'failures': []}
    for suite in listed.get('testsuites', []):
        for test in suite.get('testsuite', []):
            name = f"{suite['name']}.{test['name']}"
            if test.get('failures'):
                text = test['failures'][0].get('failure', '')
                found['failures'].append({'test': name,
                                          'text': child.tail(text)[-FAILURE_CHARACTERS:]})
            elif test.get('result') == 'SKIPPED':
                found['skipped'] += 1
                continue
            elif test.get('result') != 'COMPLETED':
                continue
            else:
                found['passed'] += 1
    return found


def sanitizer_of(build):
    """compute-sanitizer: carried along with the build, installed, or None."""
    carried = os.path.join(build, 'compute-sanitizer', 'compute-sanitizer')
    found = [carried, shutil.which('compute-sanitizer')]
    for place in PLACES:
        found += sorted(glob.glob(os.path.join(place, 'compute-sanitizer')), reverse=True)
    return next((one for one in found if one and os.access(one, os.X_OK)
                 and os.path.isfile(one)), None)


def _judged(ended, wanted):
    """A tool that has printed no summary has checked nothing, whatever it exits with."""
    text = ended.out + '\n' + ended.errors
    told = {**ended.record(), 'filter': wanted,
            'tests': len(re.findall(r'^\[       OK \]', text, re.MULTILINE))}
    summary = re.findall(r'= (?:ERROR|RACECHECK) SUMMARY: (\d+)', text)
    told['errors'] = int(summary[-1]) if summary else None
    if told['errors'] and ended.status != 'timeout':
        told.update(status='failed', reason=f"{told['errors']} reported")
    elif ended.status == 'ok' and told['errors'] is None:
        told.update(status='failed', reason='no summary was printed')
    elif ended.status == 'ok' and told['tests'] == 0:
        told.update(status='failed', reason='no test passed under it')
    if told['status'] != 'ok':
        told['last_words'] = child.tail('\n'.join(
            line for line in text.split('\n') if line.startswith('=')) or text)
    return told

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
STAYING = 'CudaResident'    # a tool that waits for each launch's end waits for such a kernel in vain


def run(program, limit_s, environment):
    """Counts and failures of the whole program; as much as is known where it does not end."""
    with tempfile.TemporaryDirectory() as folder:
        told = os.path.join(folder, 'tests.json')
        ended = child.run([program, f'--gtest_output=json:{told}'], limit_s, environment)
        listed = _read(told)
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


def _read(path):
    try:
        with open(path, encoding='utf-8') as file:
            told = json.load(file)
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) else None


def _counted(listed):
    """GoogleTest's JSON, by test. Source: its guide, "Generating a JSON Report"."""
    found = {'passed': 0, 'skipped': 0, 'failures': [], 'seconds_of': {}}
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
            found['seconds_of'][name] = float(test.get('time', '0s').rstrip('s'))
    return found


def short_ones(tests, seconds):
    """A filter: the shortest tests that together take so long; all where nothing is known."""
    chosen, total_s = [], 0
    times = (tests or {}).get('seconds_of', {})
    for name, time_s in sorted(times.items(), key=lambda item: item[1]):
        if name.startswith(STAYING):
            continue
        total_s += time_s
        if total_s > seconds and chosen:
            break
        chosen.append(name)
    return ':'.join(chosen) or '*'


def sanitizer_of(build):
    """compute-sanitizer: carried along with the build, installed, or None."""
    carried = os.path.join(build, 'compute-sanitizer', 'compute-sanitizer')
    found = [carried, shutil.which('compute-sanitizer')]
    for place in PLACES:
        found += sorted(glob.glob(os.path.join(place, 'compute-sanitizer')), reverse=True)
    return next((one for one in found if one and os.access(one, os.X_OK)
                 and os.path.isfile(one)), None)


def sanitize(program, build, wanted, left_s, environment, found):
    """Every tool in turn, of the time that is left each its share; results go into `found`."""
    tool_path = sanitizer_of(build)
    if tool_path is None:
        return {'status': 'skipped', 'seconds': 0, 'reason': 'compute-sanitizer is not installed'}
    seconds = 0
    for number, tool in enumerate(TOOLS):
        limit_s = left_s() / (len(TOOLS) - number)
        ended = child.run([tool_path, '--tool', tool, '--error-exitcode', str(ERROR_CODE),
                           '--print-limit', '20', program, f'--gtest_filter={wanted}'],
                          limit_s, environment)
        found[tool] = _judged(ended, wanted)
        seconds += ended.seconds
    bad = [f"{tool} {one['status']}" for tool, one in found.items() if one['status'] != 'ok']
    step = {'status': 'failed' if bad else 'ok', 'seconds': round(seconds, 1)}
    if bad:
        step['reason'] = ', '.join(bad)
    return step


def _judged(ended, wanted):
    """A tool that has printed no summary has checked nothing, whatever it exits with."""
    text = ended.out + '\n' + ended.errors
    told = {**ended.record(), 'filter': 'all' if wanted == '*' else wanted,
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

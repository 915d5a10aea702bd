# SPDX-License-Identifier: Apache-2.0
"""What NVIDIA's management library says of one card: energy, memory by process, clocks, limits.

Through pynvml where that is installed, else from libnvidia-ml.so.1 itself. A machine, card or MIG
slice without a reading answers None: every measurement goes on without it.
Source: NVML API Reference Guide, chapters "Device Queries" and "Unit Queries".
"""
import ctypes
import os

CLOCK_SM = 1
CLOCK_MEMORY = 2
TEMPERATURE_GPU = 0
NOT_AVAILABLE = (1 << 64) - 1


class Card:
    """The card that CUDA's device 0 is."""

    def __init__(self):
        self._api, self._handle = None, None
        try:
            self._api = _library()
            self._api.nvmlInit()
            self._handle = self._find()
        except Exception:  # no driver, no card, no right to ask: all mean that nothing is told
            self._api = None

    def _find(self):
        # CUDA counts as NVML does under CUDA_DEVICE_ORDER=PCI_BUS_ID, which crew.py sets.
        first = os.environ.get('CUDA_VISIBLE_DEVICES', '0').split(',')[0].strip() or '0'
        if first.isdigit():
            return self._api.nvmlDeviceGetHandleByIndex(int(first))
        return self._api.nvmlDeviceGetHandleByUUID(first.encode())

    def _read(self, name, *arguments):
        if self._api is None:
            return None
        try:
            return getattr(self._api, name)(self._handle, *arguments)
        except Exception:  # not supported, not permitted: each card lacks another reading
            return None

    def energy_mj(self):
        """Energy since the driver was loaded."""
        return self._read('nvmlDeviceGetTotalEnergyConsumption')

    def memory_used(self, pid):
        """(bytes of that process, bytes of the whole card).

        In a container the process may be listed under another id; then the only one listed is it.
        """
        card = self._read('nvmlDeviceGetMemoryInfo')
        listed = self._read('nvmlDeviceGetComputeRunningProcesses') or []
        mine = [one for one in listed if one.pid == pid] or (listed if len(listed) == 1 else [])
        used = mine[0].usedGpuMemory if mine else None
        if used == NOT_AVAILABLE:
            used = None
        return used, card and card.used

    def state(self):
        """What the card does now: clocks, temperature, power, and why it is held back (bits)."""
        power_mw = self._read('nvmlDeviceGetPowerUsage')
        return {'sm_clock_mhz': self._read('nvmlDeviceGetClockInfo', CLOCK_SM),
                'memory_clock_mhz': self._read('nvmlDeviceGetClockInfo', CLOCK_MEMORY),
                'temperature_c': self._read('nvmlDeviceGetTemperature', TEMPERATURE_GPU),
                'power_w': power_mw and power_mw / 1000,
                'throttle_bits': self._read('nvmlDeviceGetCurrentClocksThrottleReasons')}

    def limits(self):
        """What the card may do, for the machine record."""
        limit_mw = self._read('nvmlDeviceGetEnforcedPowerLimit')
        mig = self._read('nvmlDeviceGetMigMode')
        driver = self._driver()
        return {'driver': driver,
                'sm_clock_max_mhz': self._read('nvmlDeviceGetMaxClockInfo', CLOCK_SM),
                'memory_clock_max_mhz': self._read('nvmlDeviceGetMaxClockInfo', CLOCK_MEMORY),
                'power_limit_w': limit_mw and limit_mw / 1000,
                'mig': bool(mig[0]) if mig else None}

    def _driver(self):
        if self._api is None:
            return None
        version = self._api.nvmlSystemGetDriverVersion()
        return version.decode() if isinstance(version, bytes) else version


def _library():
    try:
        import pynvml
        return pynvml
    except ImportError:
        return _Bare(ctypes.CDLL('libnvidia-ml.so.1'))


class _Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ('total', 'free', 'used')]


class _Process(ctypes.Structure):
    _fields_ = [('pid', ctypes.c_uint), ('usedGpuMemory', ctypes.c_ulonglong),
                ('gpuInstanceId', ctypes.c_uint), ('computeInstanceId', ctypes.c_uint)]


class _Bare:
    """The functions of pynvml that are used above, on the C library."""

    def __init__(self, library):
        self._library = library

    def _call(self, name, *arguments):
        code = getattr(self._library, name)(*arguments)
        if code:
            raise OSError(code, name)

    def _out(self, name, kind, *arguments):
        result = kind()
        self._call(name, *arguments, ctypes.byref(result))
        return result

    def nvmlInit(self):
        self._call('nvmlInit_v2')

    def nvmlSystemGetDriverVersion(self):
        text = ctypes.create_string_buffer(80)
        self._call('nvmlSystemGetDriverVersion', text, ctypes.c_uint(80))
        return text.value

    def nvmlDeviceGetHandleByIndex(self, index):
        return self._out('nvmlDeviceGetHandleByIndex_v2', ctypes.c_void_p, ctypes.c_uint(index))

    def nvmlDeviceGetHandleByUUID(self, uuid):
        return self._out('nvmlDeviceGetHandleByUUID', ctypes.c_void_p, ctypes.c_char_p(uuid))

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        return self._out('nvmlDeviceGetTotalEnergyConsumption', ctypes.c_ulonglong, handle).value

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):
        return self._out('nvmlDeviceGetCurrentClocksThrottleReasons', ctypes.c_ulonglong,
                         handle).value

    def nvmlDeviceGetMemoryInfo(self, handle):
        return self._out('nvmlDeviceGetMemoryInfo', _Memory, handle)

    def nvmlDeviceGetMigMode(self, handle):
        pending = ctypes.c_uint()
        current = ctypes.c_uint()
        self._call('nvmlDeviceGetMigMode', handle, ctypes.byref(current), ctypes.byref(pending))
        return [current.value, pending.value]

    def nvmlDeviceGetComputeRunningProcesses(self, handle):
        room = ctypes.c_uint(64)
        listed = (_Process * room.value)()
        self._call('nvmlDeviceGetComputeRunningProcesses_v3', handle, ctypes.byref(room), listed)
        return list(listed[:room.value])

    def __getattr__(self, name):
        """A reading that is one unsigned number, perhaps of one of several kinds."""
        def read(handle, *kind):
            return self._out(name, ctypes.c_uint, handle, *map(ctypes.c_uint, kind)).value
        return read

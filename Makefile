# SPDX-License-Identifier: Apache-2.0
# A thin front for CMake. `make help` lists what it knows.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help packages build build-asan build-tsan demo test bench clean

# Two gigabytes for each compiler: fewer jobs than cores where memory is short.
JOBS ?= $(shell awk -v cores="$$(nproc)" '/MemAvailable/ { jobs = int($$2 / 2097152) } \
          END { print (jobs < 1 ? 1 : jobs < cores ? jobs : cores) }' /proc/meminfo)
CTEST := ctest --output-on-failure --no-tests=error
say = @printf '\n== %s\n' "$(1)"

help:
	@echo 'make build   the programs, the plugin and the tests, in build/release'
	@echo 'make demo    build, then Auspex on a private real Slurm cluster (less than a minute)'
	@echo 'make test    build, then all tests: sanitizers, programs, real Slurm'
	@echo 'make bench   build, then the benchmarks'
	@echo 'make clean   remove build/'
	@echo
	@echo 'Needs Debian 12. What is missing of packaging/packages.txt is installed first (root only).'
	@echo 'JOBS=N sets the compilers that run at once (now $(JOBS)).'

packages:
	@packaging/install-packages

# ninja and not cmake --build: it takes its compilers along when it is told to stop.
# A preset is configured once; ninja configures again by itself when a CMake file changes.
build/%/build.ninja: CMakePresets.json
	$(call say,configure $*)
	@cmake --preset $* -Wno-dev

build: packages
	@$(MAKE) --no-print-directory build/release/build.ninja
	$(call say,build release with $(JOBS) jobs)
	@ninja -C build/release -j $(JOBS)

build-asan: packages
	@$(MAKE) --no-print-directory build/asan/build.ninja
	$(call say,build asan (address and undefined behaviour) with $(JOBS) jobs)
	@ninja -C build/asan -j $(JOBS)

build-tsan: packages
	@$(MAKE) --no-print-directory build/tsan/build.ninja
	$(call say,build tsan (data races) with $(JOBS) jobs)
	@ninja -C build/tsan -j $(JOBS)

demo: build
	$(call say,demo)
	@/usr/bin/python3 packaging/demo/demo.py --build build/release

# The release tests come last and hold the real Slurm; ctest's closing lines end the output.
test: build build-asan build-tsan
	$(call say,unit and slurmctld tests under the address and undefined behaviour sanitizers)
	@$(CTEST) --test-dir build/asan --label-regex 'unit|slurm' --parallel $(JOBS)
	$(call say,unit tests with threads under the thread sanitizer)
	@$(CTEST) --test-dir build/tsan --label-regex threads --parallel $(JOBS)
	$(call say,all tests of the release build)
	@$(CTEST) --test-dir build/release --label-exclude '^bench$$' --parallel $(JOBS)

bench: build
	$(call say,benchmarks)
	@$(CTEST) --test-dir build/release --label-regex '^bench$$' --verbose

clean:
	rm -rf build

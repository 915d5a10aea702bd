// SPDX-License-Identifier: Apache-2.0
// What slurmctld offers a plugin beyond the public headers. Symbols resolve from slurmctld itself;
// the signatures hold from Slurm 22.05 to 25.11.
#pragma once

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/slurm_version.h>

extern "C" {
struct job_record;

void slurm_xfree(void** pointer);
char* slurm_xstrdup(const char* text);  // every string given to slurmctld comes from here

// Source: slurm/spank.h
void slurm_info(const char* format, ...) __attribute__((format(printf, 1, 2)));
void slurm_error(const char* format, ...) __attribute__((format(printf, 1, 2)));
}

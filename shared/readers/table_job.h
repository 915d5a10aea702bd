// SPDX-License-Identifier: Apache-2.0
// A table's row as a JobRecord: the same for every format with named columns.
#pragma once

#include <optional>
#include <string_view>

#include "shared/readers/columns.h"
#include "shared/readers/row_reader.h"

namespace auspex {

// What a past job asked for goes where an sbatch of the same job puts it, as far as features go:
// all its CPUs to min_cpus, its nodes to min_nodes, its memory to memory_per_cpu_mib (nearest
// MiB), its GPUs to tres_per_job as "gres/gpu:N" or "gres/gpu:TYPE:N".
// Errors: names the column's meaning and the value.
Result<RowKind> job_of(const RowFields& fields, JobRecord& job);

// Slurm's and pandas' words for "no value": "", "Unknown", "None", "N/A", "(null)", "nan", ...
bool says_nothing(std::string_view text);

// A finite number and nothing else. Errors: none; empty when it is something else.
std::optional<double> parse_number(std::string_view text);

}  // namespace auspex

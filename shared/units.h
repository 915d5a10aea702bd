// SPDX-License-Identifier: Apache-2.0
// Slurm's notations for time, memory and counts, read and written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace auspex {

// Slurm's way of saying "no limit" in a time-limit field. Source: slurm/slurm.h (INFINITE).
inline constexpr uint32_t kUnlimitedMin = 0xffffffff;

// "90", "90:30", "1:30:00", "2-0", "2-12", "2-12:30", "2-12:30:15", "UNLIMITED", "INFINITE", "-1".
// Units: minutes, seconds rounded up. Errors: names the text. Source: sbatch(1), --time.
Result<uint32_t> parse_time_limit_min(std::string_view text);

// sacct's Elapsed and Timelimit: "[D-]HH:MM:SS[.fff]" or "MM:SS[.fff]". Units: seconds.
// Source: sacct(1), Elapsed.
Result<double> parse_duration_s(std::string_view text);

// "D-HH:MM:SS" with days only when there are any; "UNLIMITED" for kUnlimitedMin.
std::string format_time_limit(uint32_t minutes);

// As printf writes %.*g and %.0f, in a fraction of its time.
std::string format_general(double value, int digits);
std::string format_whole(double value);

// "90 %", "99.5 %".
std::string format_share(double share);

// "500", "500M", "4G", "4GB", "1.5T", "1024K"; no suffix means MiB. Units: MiB, rounded up.
// Source: sbatch(1), --mem.
Result<uint64_t> parse_memory_mib(std::string_view text);

// "12", "1.5K", "2M", "1G" with decimal factors of 1024, as in TRES strings.
Result<double> parse_count(std::string_view text);

// "2021-05-01T00:06:13" or "2021-05-01 00:06:13" in local time, or plain seconds since the epoch.
// Units: seconds since 1970-01-01 UTC.
Result<int64_t> parse_timestamp(std::string_view text);

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
// The points in time that sbatch's --begin and --deadline take.
#pragma once

#include <cstdint>
#include <string_view>

#include "shared/result.h"

namespace auspex {

// "now+2hours", "16:00", "4:30pm tomorrow", "noon", "2030-01-20T12:34", "01/20/30", "0120",
// "uts1900000000". Local time. A time of day that is over means tomorrow, a day without a year that
// is over means next year. Units: seconds since 1970-01-01 UTC. Source: sbatch(1), --begin.
Result<int64_t> parse_point_in_time(std::string_view text, int64_t now_s);

}  // namespace auspex

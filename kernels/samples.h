// SPDX-License-Identifier: Apache-2.0
// Inputs to measure with.
#pragma once

#include <cstdint>
#include <vector>

#include "shared/history/view.h"
#include "shared/model_file.h"

namespace auspex {

// Rows of the first layer at random, which no cache expects.
std::vector<EncodedJob> sample_jobs(const ModelFile& model, size_t count);
// Full histories: every item is there.
std::vector<HistoryView> sample_views(size_t count);

}  // namespace auspex

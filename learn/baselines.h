// SPDX-License-Identifier: Apache-2.0
// Baselines that are fitted for the comparison: XGBoost on the same numbers, the paper's network.
#pragma once

#include "learn/evaluate.h"
#include "learn/scores.h"
#include "shared/result.h"

namespace auspex {

// Boosted trees on the summary rows, tuned on the last tenth of the training rows.
// Errors: this build has no XGBoost; what it says.
Result<Scores> score_xgboost(const Evaluation& evaluation, uint64_t seed, uint32_t threads);

// The paper's network, which sees the request only, trained on what had ended by `point_s`.
// Errors: those of train_network.
Result<Scores> score_mlp(const std::vector<HistoryJob>& jobs, int64_t point_s, uint64_t seed,
                         uint32_t threads);

}  // namespace auspex

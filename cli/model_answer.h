// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shared/config.h"
#include "shared/model_need.h"

namespace auspex::cli {

// What the daemon's reader would say of a model, as auspex-graph says it: with the rights of who
// asks, below mig.model_dirs.
ModelAnswer model_answer(const ModelRun& run, const Config::Mig& mig);

}  // namespace auspex::cli

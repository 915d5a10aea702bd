// SPDX-License-Identifier: Apache-2.0
// Which slice of a card is enough for the model that a submission names.
#pragma once

#include <optional>

#include "shared/config.h"
#include "shared/decision.h"
#include "shared/model_need.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// What there is to ask of the submission's model. run: nullopt, where the answer would change
// nothing; `why` tells the reason.
struct MigQuestion {
  MigWhy why = MigWhy::kNotRead;
  std::optional<ModelRun> run;
  const ModelAnswer* answer = nullptr;  // to `run`, for whoever knows it to fill in
};
// directives: directives_of() the submission.
MigQuestion mig_question(const Submission& submission, const Directives& directives,
                         const Config& config, const Site& site);

// Sets decision.mig and, by mig.mode, its edits: the GPU's type, a line for the user, the audit.
// question: of this submission. Only types that each of the job's partitions has; the smallest in
// memory that fits with headroom, and of equal memory more compute only where a step gains by it.
// Pure.
void advise_slice(const Submission& submission, const MigQuestion& question, const Config& config,
                  const Site& site, Decision& decision);

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
// Policy: the one place where it is decided what happens to a submission. A pure function, the
// same for the daemon, the dry run and the replay.
#pragma once

#include "shared/config.h"
#include "shared/decision.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// prediction: nullptr when there is no model. answer: of the model that the submission names, to
// mig_question(); nullptr: none is known. site: what is known of the running Slurm; nothing,
// for a past: no reservation, and a guard that stands. Threads: any. Errors: none; in doubt the
// decision is to leave the submission alone, with the reason in Decision::why.
Decision decide(const Submission& submission, const Prediction* prediction, const Config& config,
                const Site& site = {}, const ModelAnswer* answer = nullptr);

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
// Policy: the one place where it is decided what happens to a submission. A pure function, the
// same for the daemon, the dry run and the replay.
#pragma once

#include "shared/config.h"
#include "shared/decision.h"
#include "shared/mig_advice.h"
#include "shared/site.h"
#include "shared/submission.h"

namespace auspex {

// On what terms a submission is decided, before anything is predicted: the rule that it falls
// under, and what its script and environment say to us, which are read for this alone.
struct Terms {
  Mode mode = Mode::kOff;
  double risk = 0;
  int rule = -1;  // index into the YAML's rules; -1 = the default
  bool opted_out = false;
  MigQuestion slice;  // without an answer; none is asked where the mode is off
};
// site: what is known of the running Slurm; nothing, for a past: no reservation, and a guard that
// stands. Threads: any. Errors: none.
Terms terms_of(const Submission& submission, const Config& config, const Site& site);

// terms: of this submission, with the answer to `slice` where it is known. prediction: nullptr when
// there is no model. Threads: any. Errors: none; in doubt the decision is to leave the submission
// alone, with the reason in Decision::why.
Decision decide(const Submission& submission, const Terms& terms, const Prediction* prediction,
                const Config& config, const Site& site);
// Of which no model is known.
inline Decision decide(const Submission& submission, const Prediction* prediction,
                       const Config& config, const Site& site = {}) {
  return decide(submission, terms_of(submission, config, site), prediction, config, site);
}

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
// Trainer: fits the runtime network with libtorch and hands back plain layers. No torch type
// appears here: whoever includes this does not compile against libtorch.
//
// The network is the paper's: blocks of Linear, BatchNorm, ReLU; the last block Linear only
// (ALICE runtime prediction, Lelek et al. 2025, section 2.3). The first Linear is split: the
// one-hot part is a sum of rows (embedding bag), the numbers have a small Linear of their own.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "learn/dataset.h"
#include "learn/vocabulary.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

// Source: our choice; with fewer, the user's limit is as good a guess.
inline constexpr size_t kMinTrainJobs = 100;

// ended: of the jobs, when the last tenth of them was submitted.
Status enough_to_fit(size_t ended, size_t jobs);

struct TrainOptions {
  std::vector<uint32_t> hidden = {512, 256, 128};
  uint32_t epochs = 100;  // Source: Lelek et al. 2025, section 2.3
  uint32_t batch = 128;
  uint64_t seed = 1;
  uint32_t threads = 1;  // more of them sum in another order: another model from the same seed
};

struct TrainProgress {
  uint32_t epoch = 0;      // from 1
  uint64_t jobs_done = 0;  // in this epoch
  uint64_t jobs = 0;
  bool epoch_ended = false;
  double train_loss = 0, validation_loss = 0;  // when the epoch ended
  bool best = false;                           // so far
};

struct TrainedNetwork {
  std::vector<ModelContent::Layer> layers;  // batch norm folded in
  uint32_t epochs = 0;                      // that ran; the best one's layers are kept
  double best_validation_loss = 0;
  double fold_difference = 0;  // largest |folded - torch| over outputs of validation jobs
};

// jobs: by submit time. progress: after each batch and each epoch. Reproducible: equal jobs and
// options give equal layers on machines of one kind.
// Errors: fewer than kMinTrainJobs or too short a history; the loss is not finite; libtorch's own.
Result<TrainedNetwork> train_network(std::span<const HistoryJob> jobs, const Vocabulary& vocabulary,
                                     const TrainOptions& options,
                                     const std::function<void(const TrainProgress&)>& progress);

}  // namespace auspex

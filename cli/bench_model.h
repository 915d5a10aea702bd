// SPDX-License-Identifier: Apache-2.0
// What auspex bench computes: a model, its inputs, and what they weigh.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shared/model_file.h"

namespace auspex::cli {

// Random weights behind 14 categories of 1,414 values each and 6 numbers, as many as in the paper;
// of each layer's activations about half are zero. Time does not depend on what they say.
Result<std::shared_ptr<const ModelFile>> random_model(const std::vector<uint32_t>& hidden);

// Inputs of any batch: each call takes the next ones.
inline constexpr size_t kBenchJobs = 16'384;

// "512-256-128"
std::string hidden_text(const std::vector<uint32_t>& hidden);
std::vector<uint32_t> hidden_of(const ModelFile& model);

// What a single sample reads of the weights of a paper's network, each once. packed: INT4 and 2:4
// lie in fewer bytes than INT8. skip: of half of the rows behind the first layer nothing is read.
uint64_t bytes_of(const ModelFile& model, const std::vector<Precision>& precisions, bool packed,
                  bool skip, bool dense);

}  // namespace auspex::cli

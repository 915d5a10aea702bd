// SPDX-License-Identifier: Apache-2.0
// PointerTrainer: fits the pointer network and goes on fitting it as jobs end. No torch type
// appears here: whoever includes this does not compile against libtorch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "learn/examples.h"
#include "learn/vocabulary.h"
#include "shared/mixture.h"
#include "shared/model_file.h"
#include "shared/result.h"

namespace auspex {

struct PointerOptions {
  uint32_t epochs = 2;  // each sees a job that waited twice, see fit_pointer.h
  uint32_t batch = 256;
  double learning_rate = 3e-3;  // at its height; falls along a cosine
  double refine_rate = 1e-3;
  uint64_t seed = 1;
  uint32_t threads = 1;
};

struct PointerProgress {
  uint32_t epoch = 0;  // from 1
  uint64_t jobs_done = 0, jobs = 0;
  double loss = 0;  // of the last step
};

class PointerTrainer {
 public:
  // A network that knows nothing yet. vocabulary: must outlive this.
  PointerTrainer(const Vocabulary& vocabulary, const PointerOptions& options);
  // One that goes on from a model, in its precisions: so that what they cost is learned with
  // everything else. Errors: the model is no pointer network of this vocabulary.
  static Result<PointerTrainer> resume(const Vocabulary& vocabulary, const ModelContent& content,
                                       const PointerOptions& options);
  ~PointerTrainer();
  PointerTrainer(PointerTrainer&&) noexcept;
  PointerTrainer& operator=(PointerTrainer&&) noexcept;

  // Errors: the loss is not finite, libtorch gave up.
  Status fit(const Examples& examples, const std::function<void(const PointerProgress&)>& progress);

  // Learns to say in its precisions what it says now in FP32, whatever became of the jobs; as fit()
  // otherwise. Errors: as fit().
  Status imitate(const Examples& examples,
                 const std::function<void(const PointerProgress&)>& progress);

  // One pass over some of the examples, at a low rate. Errors: as fit().
  Status refine(const Examples& examples, std::vector<uint32_t> picked);

  // Mean loss of some of the examples: what fit() makes small. Errors: libtorch gave up.
  Result<double> loss(const Examples& examples, const std::vector<uint32_t>& picked) const;

  // What the network says of one example: what Network::mix() of its model does. Errors: as loss().
  Status mix(const Examples& examples, uint32_t place, Mixture& out) const;

  // Fills layers and pointer.
  void describe(ModelContent& content) const;

 private:
  class Work;
  explicit PointerTrainer(std::unique_ptr<Work> work);
  std::unique_ptr<Work> work_;
};

}  // namespace auspex

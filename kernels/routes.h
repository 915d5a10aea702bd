// SPDX-License-Identifier: Apache-2.0
// Routes: the ways in which this machine can compute a model, measured, and for each size of batch
// the fastest of them. Which one that is differs from CPU to CPU.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "kernels/network.h"

namespace auspex {

inline constexpr std::array<size_t, 4> kRoutedBatches = {1, 8, 64, 512};

struct Route {
  std::string backend;     // as its network names it
  bool skip_rows = false;  // see Plan
  // Medians for a whole batch of each size; of a pointer network, and where a size before it was
  // hopeless, for one job after the other.
  std::array<double, kRoutedBatches.size()> batch_us{};
};

// Of a model in its own precision and in FP32, never in a coarser one; on a GPU, where there is
// one, in its own. The first is what "auto" takes without a measurement, and stays unless another
// is twice as fast. One is measured at a time, so that little memory is taken: some ten
// milliseconds for each.
struct Routes {
  std::vector<Route> measured;
  std::array<size_t, kRoutedBatches.size()> fastest{};  // of `measured`
  std::shared_ptr<const Network> network;  // that for each batch; its name is a single job's

  // Errors: those of load_network.
  static Result<Routes> measure(const std::shared_ptr<const ModelFile>& model);

  static std::array<size_t, kRoutedBatches.size()> fastest_of(const std::vector<Route>& measured);

  // The smallest of the sizes at which requests that wait together are answered sooner, on average,
  // as one batch than one after the other; 0: at none.
  size_t batch_that_pays() const;
};

}  // namespace auspex

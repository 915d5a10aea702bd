// SPDX-License-Identifier: Apache-2.0
// The parts of the networks behind kernels/network.h.
#pragma once

#include <memory>

#include "kernels/fp32_functions.h"
#include "kernels/network.h"
#include "kernels/trunk.h"

namespace auspex {

std::shared_ptr<const Network> reference_network(std::shared_ptr<const ModelFile> model);

// In double precision, by bisection to 1e-6 of log seconds: the truth for the fast ones.
MixturePoints reference_points(const Mixture& mixture);
// Of a distribution that is none: NaN, which prediction_from_outputs() takes for the limit.
MixturePoints no_points();

// Appends to rows and factors those of the `count` rows from `first` on, `stride` apart, whose
// factor is not zero: what a layer has to add up. Without a branch: half are zero, at random.
template <class Weight>
uint32_t list_active(const Weight* first, size_t stride, const float* x, uint32_t count,
                     const Weight** rows, float* factors) {
  uint32_t active = 0;
  for (uint32_t i = 0; i < count; ++i, first += stride) {
    rows[active] = first;
    factors[active] = x[i];
    active += x[i] != 0;
  }
  return active;
}

// The pointer network behind a trunk.
void mix_items(const ModelFile& model, const HistoryView& view, const Trunk::Activations& trunk,
               const Fp32Functions& functions, Mixture& out);
MixturePoints fast_points(const Mixture& mixture, const Fp32Functions& functions);

}  // namespace auspex

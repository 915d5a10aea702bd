// SPDX-License-Identifier: Apache-2.0
// The parts of the backends behind kernels/network_backend.h.
#pragma once

#include <memory>

#include "kernels/fp32_functions.h"
#include "kernels/network_backend.h"

namespace auspex {

std::unique_ptr<NetworkBackend> make_reference();

// In double precision, by bisection to 1e-6 of log seconds: the truth for the fast ones.
MixturePoints reference_points(const Mixture& mixture);
// Of a distribution that is none: NaN, which prediction_from_outputs() takes for the limit.
MixturePoints no_points();

// The pointer network behind a trunk's last hidden layer, for any backend.
void mix_items(const ModelFile& model, const HistoryView& view, const float* context,
               const float* bin_logits, const Fp32Functions& functions, Mixture& out);
MixturePoints fast_points(const Mixture& mixture, const Fp32Functions& functions);

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
// The backends behind kernels/network_backend.h, and the raw functions of the instruction-set
// files.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/network_backend.h"

namespace auspex {

std::unique_ptr<NetworkBackend> make_reference();

// In double precision, by bisection to 1e-6 of log seconds: the truth for the fast ones.
MixturePoints reference_points(const Mixture& mixture);
// Of a distribution that is none: NaN, which prediction_from_outputs() takes for the limit.
MixturePoints no_points();

// One instruction set's functions. Raw pointers only: a file compiled for a newer CPU must not emit
// std templates. Their formulas and shapes: fp32_body.h. `points` is a multiple of kPadding.
struct Fp32Functions {
  // y += sum_k factors[k] * rows[k][0..width). factors may be null: all ones.
  void (*add_rows)(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y);
  void (*laplace_cdf)(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                      const float* weight, uint32_t count, float* cdf);
  void (*sum_ratios)(const float* s, const float* inverse_s, uint32_t points, const float* v,
                     const float* inverse_v, const float* weight, uint32_t count, float* sum);
  void (*sum_decays)(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                     const float* weight, uint32_t count, float* sum);
};
inline constexpr uint32_t kPadding = 16;

void add_rows_portable(const float* const* rows, const float* factors, uint32_t count,
                       uint32_t width, float* y);
void laplace_cdf_portable(const float* x, uint32_t points, const float* v,
                          const float* inverse_scale, const float* weight, uint32_t count,
                          float* cdf);
void sum_ratios_portable(const float* s, const float* inverse_s, uint32_t points, const float* v,
                         const float* inverse_v, const float* weight, uint32_t count, float* sum);
void sum_decays_portable(const float* x, uint32_t points, const float* v,
                         const float* inverse_scale, const float* weight, uint32_t count,
                         float* sum);

void add_rows_avx2(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y);
void laplace_cdf_avx2(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                      const float* weight, uint32_t count, float* cdf);
void sum_ratios_avx2(const float* s, const float* inverse_s, uint32_t points, const float* v,
                     const float* inverse_v, const float* weight, uint32_t count, float* sum);
void sum_decays_avx2(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                     const float* weight, uint32_t count, float* sum);

void add_rows_avx512(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                     float* y);
void laplace_cdf_avx512(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                        const float* weight, uint32_t count, float* cdf);
void sum_ratios_avx512(const float* s, const float* inverse_s, uint32_t points, const float* v,
                       const float* inverse_v, const float* weight, uint32_t count, float* sum);
void sum_decays_avx512(const float* x, uint32_t points, const float* v, const float* inverse_scale,
                       const float* weight, uint32_t count, float* sum);

// The pointer network behind a trunk's last hidden layer, for any backend.
void mix_items(const ModelFile& model, const HistoryView& view, const float* context,
               const float* bin_logits, const Fp32Functions& functions, Mixture& out);
MixturePoints fast_points(const Mixture& mixture, const Fp32Functions& functions);

}  // namespace auspex

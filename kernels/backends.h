// SPDX-License-Identifier: Apache-2.0
// The backends behind kernels/mlp.h, and the raw functions of the instruction-set files.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/mlp.h"

namespace auspex {

std::unique_ptr<MlpBackend> make_reference();

// y += sum_k factor[k] * rows[k][0..width). factor may be null: all ones.
// Raw pointers only: a file compiled for a newer CPU must not emit std templates.
using AddRows = void (*)(const float* const* rows, const float* factors, uint32_t count,
                         uint32_t width, float* y);

void add_rows_portable(const float* const* rows, const float* factors, uint32_t count,
                       uint32_t width, float* y);
void add_rows_avx2(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                   float* y);
void add_rows_avx512(const float* const* rows, const float* factors, uint32_t count, uint32_t width,
                     float* y);

}  // namespace auspex

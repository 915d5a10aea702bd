// SPDX-License-Identifier: Apache-2.0
// Precision: what a layer of a network is computed in. A model file keeps its weights in FP32 and
// says for each layer what they are rounded to as it is loaded; so a model can be taken back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/result.h"

namespace auspex {

// INT8: weights to 255 steps of each column's largest, a sample's input to 256 steps of its
// largest. INT4: weights to 15 steps of what rounds a column best, inputs to 128. 2:4: INT8, and of
// each four weights of a column only the two largest.
// Rows that stand for numbers are BF16 unless their layer is FP32; the pointer's items are FP32.
enum class Precision : uint8_t { kFp32, kBf16, kInt8, kInt4, kInt8Pairs };
inline constexpr std::array<std::string_view, 5> kPrecisionNames = {"fp32", "bf16", "int8", "int4",
                                                                    "int8-2:4"};
constexpr std::string_view precision_name(Precision precision) {
  return kPrecisionNames[static_cast<size_t>(precision)];
}
// Whether a layer of this precision reads what ReLU left, and nothing else.
constexpr bool needs_relu_before(Precision precision) {
  return precision >= Precision::kInt8;
}

// One for each layer. What has few bytes or many digits stays finer: the last layer is BF16 in all
// but FP32, the first INT8 where the others are INT4 or 2:4.
std::vector<Precision> precisions_of(Precision precision, size_t layers);

// text: "int8", which is precisions_of() it, or one name for each layer: "int8,int4,bf16".
// Errors: names what is unknown and what is allowed; another number of layers.
Result<std::vector<Precision>> precisions_named(std::string_view text, size_t layers);
// The reverse, as short as it can be said.
std::string precisions_text(std::span<const Precision> precisions);

}  // namespace auspex

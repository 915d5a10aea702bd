// SPDX-License-Identifier: Apache-2.0
// How a model is run: what it needs depends on that more than on anything else.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace auspex {

enum class RunMode : uint8_t {
  kInference,  // no gradients: a result is freed when its last reader has run
  kGraphKept,  // forward with everything kept that gradients need: DIPPM's table 4
  kTraining,   // forward, backward, an optimizer's step
};
inline constexpr std::array<const char*, 3> kRunModeNames = {"inference", "graph", "training"};

// Of weights and activations. kTf32: FP32 in memory, rounded in products.
enum class NumberFormat : uint8_t { kFp32, kTf32, kHalf };
inline constexpr std::array<const char*, 3> kNumberFormatNames = {"fp32", "tf32", "half"};

constexpr uint64_t bytes_of(NumberFormat format) {
  return format == NumberFormat::kHalf ? 2 : 4;
}

// What an optimizer keeps for each parameter, in FP32 numbers.
enum class Optimizer : uint8_t { kSgd, kMomentum, kAdam };
inline constexpr std::array<const char*, 3> kOptimizerNames = {"sgd", "momentum", "adam"};
constexpr uint64_t states_of(Optimizer optimizer) {
  return static_cast<uint64_t>(optimizer);
}

struct RunConfig {
  RunMode mode = RunMode::kInference;
  NumberFormat format = NumberFormat::kFp32;
  Optimizer optimizer = Optimizer::kAdam;  // of training
  bool channels_last = false;              // images in memory, as PyTorch's memory_format says
};

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
#include "graph/gpu.h"

#include <algorithm>

namespace auspex {
namespace {

// The memory is the whole card's in shared/mig.cc where that has it, else 97 % of the nominal.
// Idle power: ours, a tenth of the most, where the data sheet has none; of the H200 as measured
// with a context (calibration|idle-power of tests/gpu/measured). What a card takes more or less
// than others like it: learn/graphs/fit_roofline, as kOthers in graph/estimate.cc.
constexpr Gpu kGpus[] = {
    {"a100-40gb", "a100-40gb", 19.5, 156, 312, 1555, 40325, 400, 50, 8.125,
     "NVIDIA A100 data sheet (SXM)"},
    {"a100-80gb", "a100-80gb", 19.5, 156, 312, 2039, 80896, 400, 60, 8.125,
     "NVIDIA A100 data sheet (SXM)"},
    {"a30-24gb", "a30-24gb", 10.3, 82, 165, 933, 24064, 165, 28, 8.125, "NVIDIA A30 data sheet"},
    {"h100-80gb", "h100-80gb", 67, 494.5, 989.5, 3350, 81152, 700, 70, 32,
     "NVIDIA H100 data sheet (SXM)", true},
    {"h100-94gb", "h100-94gb", 60, 417.5, 835.5, 3900, 94720, 400, 60, 32,
     "NVIDIA H100 data sheet (NVL)", true},
    {"h200-141gb", "h200-141gb", 67, 494.5, 989.5, 4800, 143360, 700, 119, 32,
     "NVIDIA H200 data sheet (SXM)", true},
    {"b200-180gb", "b200-180gb", 75, 1100, 2250, 7700, 181248, 1000, 140, 32,
     "NVIDIA DGX B200 data sheet", true},
    {"v100-32gb", "", 15.7, 0, 125, 900, 31780, 300, 40, 8.125, "NVIDIA V100 data sheet (SXM2)"},
    {"rtx-3090", "", 35.6, 35.6, 71, 936, 23835, 350, 25, 8.125, "NVIDIA GA102 white paper", false,
     0.8865, 0.9953},
    {"rtx-4090", "", 82.6, 82.6, 165.2, 1008, 23835, 450, 25, 8.125, "NVIDIA Ada white paper",
     false, 1.111, 0.8463},
    {"rtx-5090", "", 104.8, 104.8, 209.5, 1792, 31780, 575, 30, 32,
     "NVIDIA RTX Blackwell white paper", false, 1.027, 1.053},
    {"rtx-pro-6000-96gb", "rtx-pro-6000-96gb", 110, 110, 220, 1792, 94720, 300, 30, 32,
     "NVIDIA RTX PRO 6000 Max-Q data sheet", false, 0.9879, 1.128},
};

}  // namespace

const Gpu* gpu_named(std::string_view name) {
  const auto* found = std::find_if(std::begin(kGpus), std::end(kGpus),
                                   [&](const Gpu& gpu) { return gpu.name == name; });
  return found == std::end(kGpus) ? nullptr : found;
}

std::string gpu_names() {
  std::string names;
  for (const Gpu& gpu : kGpus) names += (names.empty() ? "" : " ") + std::string(gpu.name);
  return names;
}

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
#include "shared/mig.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace auspex {
namespace {

// Source: NVIDIA MIG User Guide, "Supported MIG Profiles"; usable memory and multiprocessors as
// `nvidia-smi mig -lgip` prints them, which depends on the driver a little.
constexpr MigProfile kA100With40[] = {{"1g.5gb", 1, 7, 14, 4.75},   {"1g.10gb", 1, 4, 14, 9.75},
                                      {"2g.10gb", 2, 3, 28, 9.75},  {"3g.20gb", 3, 2, 42, 19.62},
                                      {"4g.20gb", 4, 1, 56, 19.62}, {"7g.40gb", 7, 1, 98, 39.38}};
constexpr MigProfile kA100With80[] = {{"1g.10gb", 1, 7, 14, 9.5},   {"1g.20gb", 1, 4, 14, 19.5},
                                      {"2g.20gb", 2, 3, 28, 19.5},  {"3g.40gb", 3, 2, 42, 39.25},
                                      {"4g.40gb", 4, 1, 56, 39.25}, {"7g.80gb", 7, 1, 98, 79}};
constexpr MigProfile kA30[] = {
    {"1g.6gb", 1, 4, 14, 5.81}, {"2g.12gb", 2, 2, 28, 11.69}, {"4g.24gb", 4, 1, 56, 23.5}};
constexpr MigProfile kH100With80[] = {{"1g.10gb", 1, 7, 16, 9.75},  {"1g.20gb", 1, 4, 26, 19.62},
                                      {"2g.20gb", 2, 3, 32, 19.62}, {"3g.40gb", 3, 2, 60, 39.5},
                                      {"4g.40gb", 4, 1, 64, 39.5},  {"7g.80gb", 7, 1, 132, 79.25}};
// 7g: the guide has no print-out; of the name's 94 GB about 1 is the driver's.
constexpr MigProfile kH100With94[] = {{"1g.12gb", 1, 7, 16, 10.75}, {"1g.24gb", 1, 4, 26, 21.62},
                                      {"2g.24gb", 2, 3, 32, 21.62}, {"3g.47gb", 3, 2, 60, 45.29},
                                      {"4g.47gb", 4, 1, 64, 45.29}, {"7g.94gb", 7, 1, 132, 92.5}};
constexpr MigProfile kH100With96[] = {{"1g.12gb", 1, 7, 16, 11},   {"1g.24gb", 1, 4, 26, 23},
                                      {"2g.24gb", 2, 3, 32, 23},   {"3g.48gb", 3, 2, 60, 46.5},
                                      {"4g.48gb", 4, 1, 64, 46.5}, {"7g.96gb", 7, 1, 132, 93}};
constexpr MigProfile kH200[] = {{"1g.18gb", 1, 7, 16, 16},    {"1g.35gb", 1, 4, 26, 32.25},
                                {"2g.35gb", 2, 3, 32, 32.25}, {"3g.71gb", 3, 2, 60, 69.5},
                                {"4g.71gb", 4, 1, 64, 69.5},  {"7g.141gb", 7, 1, 132, 140}};
// 1g.23gb: the smaller of two drivers' figures; 3g, 4g and 7g: in proportion to 2g.
constexpr MigProfile kB200[] = {{"1g.23gb", 1, 7, 18, 20.5},  {"1g.45gb", 1, 4, 30, 44.25},
                                {"2g.45gb", 2, 3, 36, 44.25}, {"3g.90gb", 3, 2, 0, 88.5},
                                {"4g.90gb", 4, 1, 0, 88.5},   {"7g.180gb", 7, 1, 0, 177}};
constexpr MigProfile kRtxPro6000[] = {
    {"1g.24gb", 1, 4, 46, 23.12}, {"2g.48gb", 2, 2, 94, 46.25}, {"4g.96gb", 4, 1, 188, 92.5}};

constexpr MigCard kCards[] = {
    {"a100-40gb", 7, kA100With40},
    {"a100-80gb", 7, kA100With80},
    {"a30-24gb", 4, kA30},
    {"h100-80gb", 7, kH100With80},
    {"h100-94gb", 7, kH100With94},
    {"gh200-96gb", 7, kH100With96},
    {"h200-141gb", 7, kH200},
    {"b200-180gb", 7, kB200},
    {"rtx-pro-6000-96gb", 4, kRtxPro6000},
};

}  // namespace

const MigCard* mig_card(std::string_view name) {
  const auto* found = std::find_if(std::begin(kCards), std::end(kCards),
                                   [&](const MigCard& card) { return card.name == name; });
  return found == std::end(kCards) ? nullptr : found;
}

std::string mig_card_names() {
  std::string names;
  for (const MigCard& card : kCards) names += (names.empty() ? "" : " ") + std::string(card.name);
  return names;
}

std::vector<MigSlice> mig_slices(const MigCard& card) {
  std::vector<MigSlice> slices;
  for (const MigProfile& profile : card.profiles) {
    slices.push_back({std::string(profile.name), profile.compute, profile.usable_gib * 1024, 0});
  }
  return slices;
}

std::vector<MigSlice> mig_slices(const MigCard& card, std::span<const double> step_ms) {
  std::vector<MigSlice> slices = mig_slices(card);
  for (size_t i = 0; i < std::min(slices.size(), step_ms.size()); ++i) {
    slices[i].step_ms = step_ms[i];
  }
  return slices;
}

const MigSlice* smallest_fit(std::span<const MigSlice> slices, const MigNeed& need) {
  // A step that takes less than this of the time is worth more compute. Source: our choice.
  constexpr double kNoticeable = 0.9;
  const double least_mib = std::max(need.memory_mib * (1 + need.headroom), need.upper_mib);
  const MigSlice* best = nullptr;
  for (const MigSlice& slice : slices) {
    if (least_mib > slice.usable_mib) continue;
    const bool faster = best != nullptr && slice.usable_mib <= best->usable_mib &&
                        slice.step_ms < kNoticeable * best->step_ms;
    if (best == nullptr || faster) best = &slice;
  }
  return best;
}

std::optional<std::string_view> dippm_profile(double memory_gb) {
  if (!(memory_gb >= 0)) return std::nullopt;
  constexpr std::pair<double, std::string_view> kSteps[] = {
      {5, "1g.5gb"}, {10, "2g.10gb"}, {20, "3g.20gb"}, {40, "7g.40gb"}};
  for (const auto& [most_gb, name] : kSteps) {
    if (memory_gb <= most_gb) return name;
  }
  return std::nullopt;
}

}  // namespace auspex

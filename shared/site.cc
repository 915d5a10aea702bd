// SPDX-License-Identifier: Apache-2.0
#include "shared/site.h"

#include <algorithm>

#include "shared/units.h"

namespace auspex {

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    words.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return words;
}

std::vector<std::string> gpu_types_of(std::string_view gres) {
  std::vector<std::string> types;
  constexpr std::string_view kName = "gpu:";
  for (std::string_view entry : split_list(gres)) {
    if (!entry.starts_with(kName)) continue;
    entry.remove_prefix(kName.size());
    const std::string type(entry.substr(0, entry.find_first_of(":(")));
    const bool number = type.find_first_not_of("0123456789") == std::string::npos;
    if (!number && std::find(types.begin(), types.end(), type) == types.end()) {
      types.push_back(type);
    }
  }
  return types;
}

std::vector<std::string_view> partition_names(const Site& site, std::string_view asked) {
  if (!asked.empty()) return split_list(asked);
  for (const Partition& partition : site.partitions) {
    if (partition.is_default) return {partition.name};
  }
  return {};
}

const Partition* find_partition(const Site& site, std::string_view name) {
  for (const Partition& partition : site.partitions) {
    if (partition.name == name) return &partition;
  }
  return nullptr;
}

uint32_t most_min(const Site& site, std::string_view asked) {
  uint32_t least_min = kUnlimitedMin;
  for (const std::string_view name : partition_names(site, asked)) {
    const Partition* partition = find_partition(site, name);
    if (partition != nullptr) least_min = std::min(least_min, partition->max_min);
  }
  return least_min;
}

bool blockage_between(const Site& site, std::string_view asked, int64_t from_s, int64_t until_s) {
  const auto names = partition_names(site, asked);
  return std::any_of(site.blockages.begin(), site.blockages.end(), [&](const Blockage& b) {
    return b.start_s > from_s && b.start_s < until_s &&
           std::find(names.begin(), names.end(), b.partition) != names.end();
  });
}

}  // namespace auspex

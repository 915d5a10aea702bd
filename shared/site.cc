// SPDX-License-Identifier: Apache-2.0
#include "shared/site.h"

#include <algorithm>

namespace auspex {

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> names;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    names.emplace_back(text.substr(at, end - at));
    at = end + 1;
  }
  return names;
}

const Partition* partition_of(const Site& site, std::string_view asked) {
  for (const Partition& partition : site.partitions) {
    if (asked.empty() ? partition.is_default : partition.name == asked) return &partition;
  }
  return nullptr;
}

bool blockage_between(const Site& site, std::string_view asked, int64_t from_s, int64_t until_s) {
  const Partition* only = partition_of(site, asked);
  const auto names = only != nullptr ? std::vector{only->name} : split_list(asked);
  return std::any_of(site.blockages.begin(), site.blockages.end(), [&](const Blockage& b) {
    return b.start_s > from_s && b.start_s < until_s &&
           std::find(names.begin(), names.end(), b.partition) != names.end();
  });
}

}  // namespace auspex

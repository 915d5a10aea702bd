// SPDX-License-Identifier: Apache-2.0
#include "graph/module_calls.h"

#include <algorithm>

namespace auspex {
namespace {

constexpr size_t kDeepest = 64;  // a file may say anything

// The modules of a node, outermost first: "/layer1", "/layer1/layer1.0", ...
std::vector<std::string_view> modules_of(std::string_view name) {
  std::vector<std::string_view> modules;
  if (!name.starts_with('/')) return modules;
  for (size_t at = 1; (at = name.find('/', at)) != std::string_view::npos; ++at) {
    if (modules.size() == kDeepest) break;
    modules.push_back(name.substr(0, at));
  }
  return modules;
}

}  // namespace

std::vector<uint32_t> held_by_modules(const OperatorGraph& graph,
                                      const std::vector<std::string_view>& names) {
  const auto count = static_cast<uint32_t>(names.size());
  std::vector<std::vector<std::string_view>> modules(count);
  for (uint32_t i = 0; i < count; ++i) modules[i] = modules_of(names[i]);
  // Whether the module at this depth is the same.
  const auto shared = [&](uint32_t i, uint32_t j, size_t depth) {
    return depth < modules[j].size() && modules[i][depth] == modules[j][depth];
  };
  // last[i][depth]: the last node of this run of the module.
  std::vector<std::vector<uint32_t>> last(count);
  for (uint32_t i = count; i-- > 0;) {
    last[i].resize(modules[i].size(), i);
    for (size_t depth = 0; depth < modules[i].size(); ++depth) {
      if (i + 1 < count && shared(i, i + 1, depth)) last[i][depth] = last[i + 1][depth];
    }
  }
  std::vector<uint32_t> held(count);
  for (uint32_t i = 0; i < count; ++i) {
    held[i] = std::max(held[i], i);
    for (const uint32_t input : graph.inputs_of(i)) {
      // The outermost module that has been given it from outside.
      for (size_t depth = 0; depth < modules[i].size(); ++depth) {
        if (shared(i, input, depth) && last[input][depth] >= i) continue;
        held[input] = std::max(held[input], last[i][depth]);
        break;
      }
    }
  }
  return held;
}

}  // namespace auspex

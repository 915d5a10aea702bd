// SPDX-License-Identifier: Apache-2.0
#include "cli/graph_report.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/terminal.h"

namespace auspex::cli {
namespace {

using nlohmann::json;

template <class... Values>
std::string text(const char* format, Values... values) {
  char line[160];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

constexpr double kMiB = 1 << 20;

double mib(uint64_t bytes) {
  return static_cast<double>(bytes) / kMiB;
}

const char* mode_name(const GraphReport& report) {
  return kRunModeNames[static_cast<size_t>(report.config.mode)];
}
const char* format_name(const GraphReport& report) {
  return kNumberFormatNames[static_cast<size_t>(report.config.format)];
}

// [product or "", multiply-adds, elements of the result, traffic, elements of activations, of
// weights, steps, whether images have their channels last, times as many columns as there are]
json tasks_json(const std::vector<Task>& tasks) {
  json all = json::array();
  for (const Task& task : tasks) {
    all.push_back({task.product ? kProductNames[static_cast<size_t>(*task.product)] : "", task.macs,
                   task.results, kTrafficNames[static_cast<size_t>(task.traffic)], task.elements,
                   task.weights, task.steps, task.channels_last, task.padding});
  }
  return all;
}

// [name, multiply-adds, elements of the result, of inputs, of weights, of the window, stride,
// dilation, groups, dimensions, [operators whose results it reads]]
json operators_json(const OperatorGraph& graph) {
  const auto product = [](const std::array<int64_t, 3>& sizes) {
    return sizes[0] * sizes[1] * sizes[2];
  };
  json all = json::array();
  for (uint32_t i = 0; i < graph.nodes.size(); ++i) {
    const OperatorNode& node = graph.nodes[i];
    const auto inputs = graph.inputs_of(i);
    all.push_back({kOperatorNames[static_cast<size_t>(node.op)], node.macs, node.output_elements,
                   node.input_elements, node.parameters, product(node.window.kernel),
                   product(node.window.stride), product(node.window.dilation), node.window.groups,
                   node.shape.size(), std::vector<uint32_t>(inputs.begin(), inputs.end())});
  }
  return all;
}

json work_json(const Work& work) {
  json macs, elements;
  for (size_t i = 0; i < work.macs.size(); ++i) macs[kProductNames[i]] = work.macs[i];
  for (size_t i = 0; i < work.elements.size(); ++i) elements[kTrafficNames[i]] = work.elements[i];
  return {{"macs", macs},
          {"elements", elements},
          {"weights", work.weights},
          {"kernels", work.tasks.size()},
          {"views", work.views}};
}

}  // namespace

std::vector<std::pair<std::string, double>> fits_of(const GraphReport& report) {
  std::vector<std::pair<std::string, double>> fits;
  if (const MigCard* card = mig_card(report.gpu.mig_card)) {
    for (const MigSlice& slice : mig_slices(*card)) {
      fits.emplace_back(slice.name, report.estimate.memory_mib / slice.usable_mib);
    }
  }
  return fits;
}

std::optional<std::string> profile_of(const GraphReport& report) {
  const MigCard* card = mig_card(report.gpu.mig_card);
  if (!card) return std::nullopt;
  if (report.by_dippm) {
    const auto profile = dippm_profile(report.estimate.memory_mib / 1024);
    return profile ? std::optional(std::string(*profile)) : std::nullopt;
  }
  const std::vector<MigSlice> slices = mig_slices(*card, report.slice_ms);
  const MigSlice* slice = smallest_fit(
      slices, {report.estimate.memory_mib, report.headroom, report.estimate.memory_upper_mib});
  return slice ? std::optional(slice->name) : std::nullopt;
}

json graph_json(const GraphReport& report, const GraphDetails& details) {
  json fits = json::object();
  for (const auto& [name, share] : fits_of(report)) fits[name] = share;
  const auto profile = profile_of(report);
  json latencies = json::object();
  for (size_t i = 0; i < report.slice_ms.size(); ++i) {
    latencies[std::string(mig_card(report.gpu.mig_card)->profiles[i].name)] = report.slice_ms[i];
  }
  json out = {{"memory_mib", report.estimate.memory_mib},
              {"memory_upper_mib", report.estimate.memory_upper_mib},
              {"latency_ms", report.estimate.latency_ms},
              {"energy_j", report.estimate.energy_j},
              {"mig_profile", profile ? json(*profile) : json(nullptr)},
              {"fits", fits},
              {"slice_latency_ms", latencies},
              {"nodes", report.graph.nodes.size()},
              {"macs", report.graph.macs()},
              {"parameters", report.graph.parameters},
              {"batch", report.graph.batch},
              {"gpu", report.gpu.name},
              {"mode", mode_name(report)},
              {"format", format_name(report)},
              {"context_mib", report.context_mib},
              {"tensors_mib", mib(report.estimate.tensors.most)},
              {"unknown", report.graph.unknown},
              {"work", work_json(report.estimate.work)}};
  if (details.tasks) out["work"]["tasks"] = tasks_json(report.estimate.work.tasks);
  if (details.operators) out["operators"] = operators_json(report.graph);
  return out;
}

void print_graph(const GraphReport& report) {
  const OperatorGraph& graph = report.graph;
  const Estimate& estimate = report.estimate;
  std::vector<std::pair<std::string, std::string>> fields = {
      {"model",
       text("%zu operators, %.2f M parameters, %.3f G multiply-adds for %llu", graph.nodes.size(),
            1e-6 * static_cast<double>(graph.parameters), 1e-9 * static_cast<double>(graph.macs()),
            static_cast<unsigned long long>(graph.batch))},
      {"run", text("%s in %s on %s", mode_name(report), format_name(report),
                   std::string(report.gpu.name).c_str())},
      {"memory",
       text("%.0f MiB: weights %.0f, all tensors at most %.0f, context %.0f", estimate.memory_mib,
            mib(estimate.tensors.weights), mib(estimate.tensors.most), report.context_mib)},
      {"upper", text("%.0f MiB, that one of a hundred goes beyond", estimate.memory_upper_mib)},
      {"latency", text("%.2f ms", estimate.latency_ms)},
      {"energy", text("%.2f J", estimate.energy_j)},
  };
  for (const std::string& name : graph.unknown) {
    fields.emplace_back("unknown", name + ": nothing is known of this operator");
  }
  const auto profile = profile_of(report);
  size_t place = 0;
  for (const auto& [name, share] : fits_of(report)) {
    const char* mark = profile == name ? "  <- enough" : "";
    fields.emplace_back(name, text("%3.0f %% of its memory, %.2f ms%s", 100 * share,
                                   report.slice_ms[place++], mark));
  }
  const bool fits = estimate.memory_mib <= report.gpu.memory_mib;
  if (!fits) fields.emplace_back("fits", "not on this card");
  print_fields(fields);
}

}  // namespace auspex::cli

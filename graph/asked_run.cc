// SPDX-License-Identifier: Apache-2.0
#include "graph/asked_run.h"

#include <algorithm>

#include "graph/estimate.h"
#include "graph/onnx_graph.h"
#include "shared/printable.h"

namespace auspex {
namespace {

constexpr uint32_t kMostBatch = 1U << 20;

template <class Names>
Result<size_t> place_of(const char* key, const Names& names, const std::string& word) {
  const auto found = std::find(names.begin(), names.end(), word);
  if (found != names.end()) return static_cast<size_t>(found - names.begin());
  std::string known;
  for (const char* name : names) known += " " + std::string(name);
  return Error{std::string(key) + "=" + printable(word) + " is none of" + known};
}

}  // namespace

Result<std::vector<int64_t>> sample_of(const std::string& text) {
  std::vector<int64_t> sample;
  bool good = text.empty() || text.back() != 'x';
  for (size_t at = 0; good && at < text.size();) {
    const size_t end = std::min(text.find('x', at), text.size());
    const std::string number = text.substr(at, end - at);
    good = !number.empty() && number.size() < 10 && number != "0" &&
           number.find_first_not_of("0123456789") == std::string::npos;
    if (good) sample.push_back(std::stoll(number));
    at = end + 1;
  }
  if (!good) return Error{"'" + printable(text) + "' is no shape such as 3x224x224"};
  return sample;
}

Result<AskedRun> asked_run(const ModelRun& run) {
  const Gpu* gpu = gpu_named(run.card);
  if (gpu == nullptr) return Error{"nothing is known of a " + printable(run.card)};
  if (run.batch == 0) return Error{"batch=N is not said"};
  if (run.batch > kMostBatch) {
    return Error{"batch=" + std::to_string(run.batch) + " is not from 1 to " +
                 std::to_string(kMostBatch)};
  }
  auto sample = sample_of(run.input);
  if (!sample) return Error{"input: " + sample.error().message};
  const auto mode = place_of("mode", kRunModeNames, run.mode);
  const auto format = place_of("format", kNumberFormatNames, run.format);
  const auto optimizer = place_of("optimizer", kOptimizerNames, run.optimizer);
  for (const auto* place : {&mode, &format, &optimizer}) {
    if (!*place) return place->error();
  }
  return AskedRun{{run.batch, std::move(*sample)},
                  gpu,
                  {static_cast<RunMode>(*mode), static_cast<NumberFormat>(*format),
                   static_cast<Optimizer>(*optimizer)}};
}

Result<ModelNeed> model_need(int fd, const AskedRun& asked, double context_mib) {
  const Result<OperatorGraph> graph = read_onnx(fd, asked.input);
  if (!graph) return graph.error();
  if (const auto why = no_answer(*graph)) return Error{*why};
  const Estimate said = estimate(*graph, *asked.gpu, asked.config, context_mib);
  return ModelNeed{said.memory_mib, said.memory_upper_mib, said.latency_ms, said.energy_j,
                   slice_latencies_ms(*graph, *asked.gpu, asked.config)};
}

}  // namespace auspex

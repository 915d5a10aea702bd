// SPDX-License-Identifier: Apache-2.0
#include "kernels/network.h"

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kernels/cuda_network.h"
#include "kernels/parts.h"

namespace auspex {
namespace {

// A trunk, and the items behind it in FP32.
class PackedNetwork final : public Network {
 public:
  PackedNetwork(std::string backend, std::shared_ptr<const ModelFile> model,
                std::unique_ptr<const Trunk> trunk, const Fp32Functions& functions,
                uint32_t threads)
      : backend_(std::move(backend)),
        model_(std::move(model)),
        trunk_(std::move(trunk)),
        functions_(functions),
        threads_(std::max(threads, 1U)) {}

  std::string_view backend() const override { return backend_; }

  void predict(std::span<const EncodedJob> jobs, float* outputs) const override {
    // Source: ours; with less a thread costs more than it brings.
    constexpr size_t kLeastShare = 8 * kTile;
    const size_t shares = std::clamp<size_t>(jobs.size() / kLeastShare, 1, threads_);
    const size_t share = (jobs.size() + shares - 1) / shares;
    const size_t outputs_each = model_->layers().back().outputs;
    std::vector<std::jthread> others;
    const auto run = [&](size_t first) {
      const auto part = jobs.subspan(first, std::min(share, jobs.size() - first));
      trunk_->run(part, outputs + first * outputs_each);
    };
    for (size_t first = share; first < jobs.size(); first += share) {
      others.emplace_back([&run, first] { run(first); });
    }
    run(0);
  }

  void mix(const PointerInput& input, Mixture& out) const override {
    mix_items(*model_, *input.view, trunk_->run(*input.job, input.view->number), functions_, out);
  }

  MixturePoints points(const Mixture& mixture) const override {
    return fast_points(mixture, functions_);
  }

 private:
  std::string backend_;
  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<const Trunk> trunk_;
  const Fp32Functions& functions_;
  uint32_t threads_;
};

struct InstructionSet {
  std::string_view name;
  bool runs;
  Functions functions;
  bool for_integers = false;  // for floats it has what the next slower one has
};

// The fastest first.
std::vector<InstructionSet> all_sets() {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  return {{"vnni", vnni, {kFp32Avx512, kInt8Vnni}, true},
          {"avx512", avx512, {kFp32Avx512, kInt8Avx512}},
          {"avx2", avx2, {kFp32Avx2, kInt8Avx2}},
          {"portable", true, {kFp32Portable, kInt8Portable}}};
}

constexpr std::string_view kReference = "reference";

bool differs(const InstructionSet& set, Precision precision) {
  return !set.for_integers || needs_relu_before(precision);
}

std::string name_of(std::string_view precision, const InstructionSet& set) {
  return std::string(precision) + "-" + std::string(set.name);
}

struct Choice {
  const InstructionSet* set;
  std::optional<Precision> precision;  // none: the model's own
};

// Errors: names the backend and the available ones.
Result<Choice> choice_of(std::string_view backend, const std::vector<InstructionSet>& sets,
                         const ModelFile& model) {
  const bool integers = std::ranges::any_of(
      model.layers(), [](const LayerView& layer) { return needs_relu_before(layer.precision); });
  for (const InstructionSet& set : sets) {
    if (!set.runs) continue;
    const bool useful = integers || !set.for_integers;
    if (backend == set.name || (backend == "auto" && useful)) return Choice{&set, {}};
    for (size_t i = 0; i < kPrecisionNames.size(); ++i) {
      const auto precision = static_cast<Precision>(i);
      if (differs(set, precision) && backend == name_of(kPrecisionNames[i], set)) {
        return Choice{&set, precision};
      }
    }
  }
  std::string message = "backend \"" + std::string(backend) + "\" does not run here; these do:";
  for (const AvailableBackend& available : available_backends()) message += " " + available.name;
  return Error{message};
}

}  // namespace

std::vector<AvailableBackend> available_backends() {
  std::vector<AvailableBackend> backends;
  for (size_t i = 0; i < kPrecisionNames.size(); ++i) {
    const auto precision = static_cast<Precision>(i);
    for (const InstructionSet& set : all_sets()) {
      if (!set.runs || !differs(set, precision)) continue;
      backends.push_back({name_of(kPrecisionNames[i], set), precision});
    }
  }
  backends.push_back({std::string(kReference), Precision::kFp32});
  return backends;
}

std::vector<std::string> available_backends(Precision precision) {
  std::vector<std::string> names;
  for (AvailableBackend& backend : available_backends()) {
    if (backend.precision == precision) names.push_back(std::move(backend.name));
  }
  return names;
}

std::vector<std::string> instruction_sets(bool integers) {
  std::vector<std::string> names;
  for (const InstructionSet& set : all_sets()) {
    const bool useful = integers || !set.for_integers;
    if (set.runs && useful) names.emplace_back(set.name);
  }
  return names;
}

Result<std::shared_ptr<const Network>> load_network(std::shared_ptr<const ModelFile> model,
                                                    const Plan& plan) {
  if (plan.backend == kReference) return reference_network(std::move(model));
  if (is_cuda(plan.backend)) return cuda_network(std::move(model), plan);
  const std::vector<InstructionSet> sets = all_sets();
  const Result<Choice> choice = choice_of(plan.backend, sets, *model);
  if (!choice) return choice.error();
  std::vector<LayerView> layers(model->layers().begin(), model->layers().end());
  if (choice->precision) {
    const auto precisions = precisions_of(*choice->precision, layers.size());
    for (size_t i = 0; i < layers.size(); ++i) layers[i].precision = precisions[i];
  }
  if (Status fits = Trunk::fits(layers, model->summary().bytes); !fits) return fits.error();
  const std::string precision = choice->precision ? std::string(precision_name(*choice->precision))
                                                  : model->summary().precision;
  const InstructionSet& set = *choice->set;
  auto trunk = std::make_unique<const Trunk>(layers, model->dense_inputs(), plan.skip_rows,
                                             plan.dense_input, set.functions);
  return std::shared_ptr<const Network>(
      std::make_shared<PackedNetwork>(name_of(precision, set), std::move(model), std::move(trunk),
                                      set.functions.fp32, plan.threads));
}

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
#include "graph/estimate.h"

#include <algorithm>

namespace auspex {
namespace {

constexpr double kMiB = 1 << 20;

// What of the data sheet's figures is reached. Source: least squares of log(estimated / measured)
// by learn/graphs/fit_roofline on timm's published inference benchmarks (FP16 autocast, PyTorch 2.4
// and 2.9, RTX 3090, 4090, 5090 and PRO 6000; 631 models).
constexpr std::array<double, kProductNames.size()> kProductShares = {0.893, 1.084, 0.502, 0.078,
                                                                     1.1};
constexpr std::array<double, kTrafficNames.size()> kTrafficShares = {0.868, 0.444, 0.431, 0.765};
constexpr double kKernelS = 26e-6;  // a launch, and a kernel's start and end, where nobody measured

// Backward computes two products for each of forward's, and moves about twice the bytes.
constexpr double kTrainingSteps = 3;
// Of the power between idle and most, while the card computes. Ours.
constexpr double kBusyPower = 0.8;

double operations_per_s(const Gpu& gpu, NumberFormat format) {
  double tflops = gpu.fp32_tflops;
  if (format == NumberFormat::kTf32 && gpu.tf32_tflops > 0) tflops = gpu.tf32_tflops;
  if (format == NumberFormat::kHalf) tflops = gpu.half_tflops;
  return tflops * 1e12;
}

// Seconds of computing and moving in one forward run.
double busy_s(const Work& work, const Gpu& gpu, NumberFormat format) {
  const double macs_per_s = operations_per_s(gpu, format) / 2;
  const double bytes_per_s = gpu.bandwidth_gb_s * 1e9;
  const auto width = static_cast<double>(bytes_of(format));
  double seconds = work.weights * width / (kTrafficShares[0] * bytes_per_s);
  for (size_t i = 0; i < work.macs.size(); ++i) {
    seconds += work.macs[i] / (kProductShares[i] * macs_per_s);
  }
  for (size_t i = 0; i < work.elements.size(); ++i) {
    seconds += work.elements[i] * width / (kTrafficShares[i] * bytes_per_s);
  }
  return seconds;
}

}  // namespace

namespace {

constexpr double steps_of(RunMode mode) {
  return mode == RunMode::kTraining ? kTrainingSteps : 1;
}

// Host seconds of an operator in all that a step does for it.
double launch_s(const Gpu& gpu, const RunConfig& config) {
  if (gpu.reached == nullptr) return steps_of(config.mode) * kKernelS;
  const bool autocast = config.mode == RunMode::kTraining && config.format == NumberFormat::kHalf;
  return autocast ? gpu.reached->autocast_s
                  : gpu.reached->launch_s[static_cast<size_t>(config.mode)];
}

// Of an optimizer: weights and gradients are read, its own numbers, too, and all but gradients
// written.
double optimizer_s(const Work& work, const Gpu& gpu, const RunConfig& config) {
  if (config.mode != RunMode::kTraining) return 0;
  const double numbers = 3 + 2 * static_cast<double>(states_of(config.optimizer));
  return work.weights * 4 * numbers / (kTrafficShares[0] * gpu.bandwidth_gb_s * 1e9);
}

// What the card is awake for, what it computes and what it moves; or, where nobody has measured
// that, a share of its power while it is busy.
double energy_j(const Work& work, const Gpu& gpu, const RunConfig& config, double seconds,
                double busy) {
  if (gpu.reached == nullptr) {
    return seconds * gpu.idle_w + busy * kBusyPower * (gpu.power_w - gpu.idle_w);
  }
  double operations = 0, elements = work.weights;
  for (const double macs : work.macs) operations += 2 * macs;
  for (const double count : work.elements) elements += count;
  const double steps = steps_of(config.mode);
  const auto width = static_cast<double>(bytes_of(config.format));
  return seconds * gpu.reached->awake_w +
         steps * operations * gpu.reached->operation_j[static_cast<size_t>(config.format)] +
         steps * elements * width * gpu.reached->byte_j;
}

}  // namespace

Estimate estimate(const OperatorGraph& graph, const Gpu& gpu, const RunConfig& config,
                  double context_mib) {
  Estimate out;
  const double library_mib = gpu.reached ? gpu.reached->library_mib : 0;
  out.tensors = memory_use(graph, config, static_cast<uint64_t>(library_mib * kMiB));
  out.memory_mib = static_cast<double>(out.tensors.reserved) / kMiB + context_mib;
  out.work = work_of(graph);
  const double share = gpu.reached ? gpu.reached->share : 1;
  const double busy = steps_of(config.mode) * busy_s(out.work, gpu, config.format) / share +
                      optimizer_s(out.work, gpu, config);
  const double seconds = busy + out.work.kernels * launch_s(gpu, config);
  out.latency_ms = 1e3 * seconds;
  out.energy_j = energy_j(out.work, gpu, config, seconds, busy);
  return out;
}

double unknown_share(const OperatorGraph& graph) {
  double all = 0, unknown = 0;
  for (const OperatorNode& node : graph.nodes) {
    const double cost = static_cast<double>(node.output_elements) +
                        static_cast<double>(node.input_elements) +
                        static_cast<double>(node.macs) / 100;
    all += cost;
    if (node.op == Operator::kUnknown) unknown += cost;
  }
  return all > 0 ? unknown / all : 1;
}

}  // namespace auspex

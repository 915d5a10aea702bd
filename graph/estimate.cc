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
constexpr double kKernelS = 26e-6;  // a launch, and a kernel's start and end

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

Estimate estimate(const OperatorGraph& graph, const Gpu& gpu, const RunConfig& config,
                  double context_mib) {
  Estimate out;
  out.tensors = memory_use(graph, config);
  out.memory_mib = static_cast<double>(out.tensors.reserved) / kMiB + context_mib;
  out.work = work_of(graph);
  const double steps = config.mode == RunMode::kTraining ? kTrainingSteps : 1;
  const double busy = steps * busy_s(out.work, gpu, config.format);
  const double seconds = busy + steps * out.work.kernels * kKernelS;
  out.latency_ms = 1e3 * seconds;
  out.energy_j = seconds * gpu.idle_w + busy * kBusyPower * (gpu.power_w - gpu.idle_w);
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

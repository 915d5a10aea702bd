// SPDX-License-Identifier: Apache-2.0
#include "graph/estimate.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "shared/mig.h"

namespace auspex {
namespace {

constexpr double kMiB = 1 << 20;

// All constants below, but for kOthers: least squares of log(said / measured) by
// learn/graphs/fit_measured, which also tells what they are worth for models and families that they
// were not fitted to. Source: tests/gpu/measured/nvidia-h200_580.159.04_2026-11-27.jsonl.xz, NVIDIA
// H200, PyTorch 2.11, 289 configurations of 61 models.

// What of the card's data sheet is reached; shares are inverse.
struct CardCosts {
  std::array<double, kProductNames.size()> fp32_products, tensor_products;
  std::array<double, kTrafficNames.size()> traffic;
  double reordered;                      // more for images that tensor cores want channels last
  double half_bytes, autocast_bytes;     // over those of fewer bytes, of casts
  double fp32_idle, tensor_idle;         // of the parts of a card that a small result leaves idle
  double backward_macs, backward_bytes;  // over those of forward
  double kernel_s;                       // that a kernel takes at least
};
constexpr CardCosts kHopper = {{2.091, 1.274, 4.782, 6.088, 6.341, 1.497},
                               {1.979, 1.354, 5.426, 59.05, 10.02, 2.02},
                               {1.662, 1.352, 0.9779, 7.998, 2.001, 1.255, 1.895, 3.227},
                               2.043,
                               1.198,
                               1.189,
                               0.5553,
                               0.3612,
                               2.433,
                               3.303,
                               13.19e-6};

// Cards that nobody has measured for us reach more of less. Source: learn/graphs/fit_roofline on
// timm's published inference benchmarks in half precision (PyTorch 2.1 to 2.9, RTX 3090, 4090, 5090
// and PRO 6000; 1,218 rows of 207 models); of FP32, which has none, the same; the rest as above.
constexpr CardCosts kOthers = [] {
  CardCosts costs = kHopper;
  costs.tensor_products = costs.fp32_products = {1.453, 1.475, 1.813, 39.14, 4.39, 1.808};
  costs.traffic = {1.515, 1.256, 0.1189, 1.467, 3.985, 1.733, 2.969, 2.777};
  costs.reordered = 0.07622;
  costs.half_bytes = 1;
  return costs;
}();

const CardCosts& costs_of(const Gpu& gpu) {
  return gpu.like_hopper ? kHopper : kOthers;
}

// What the host takes to launch, in Python: it belongs to the machine (Intel Xeon, 16 cores of a
// virtual one) and to the framework, not to the card.
struct HostCosts {
  std::array<double, kTrafficNames.size()> launch_s;  // by what the kernel moves
  double view_s;
  double graph, training, autocast;  // times as much
  double optimizer_s;                // once a step
};
constexpr HostCosts kHost = {
    {11.97e-6, 7.718e-6, 19.34e-6, 18.68e-6, 9.552e-6, 7.642e-6, 28.02e-6, 28.02e-6},
    3.176e-6,
    1.352,
    4.647,
    1.372,
    722.6e-6};

// Beside idle power.
struct EnergyCosts {
  double busy_w;                // while the card computes or moves
  std::array<double, 3> mac_j;  // by number format
  double byte_j, backward;      // of what forward moves; training over forward
};
constexpr EnergyCosts kEnergy = {22.91, {22.4e-12, 4.026e-12, 2.924e-12}, 181.7e-12, 3.495};

// Results of a product that a card works on at a time: 132 multiprocessors, each on 64 x 64.
// Source: calibration|convolution of the same measurements: one image's convolutions in FP32 take
// 23 ns for each element that is summed up, however few results there are.
constexpr double kFullResults = 132.0 * 64 * 64;
// Reads and writes of each parameter, in FP32. Ours: what the formulas need.
constexpr std::array<double, 3> kOptimizerPasses = {3, 6, 12};

double macs_per_s(const Gpu& gpu, NumberFormat format) {
  double tflops = gpu.fp32_tflops;
  if (format == NumberFormat::kTf32 && gpu.tf32_tflops > 0) tflops = gpu.tf32_tflops;
  if (format == NumberFormat::kHalf) tflops = gpu.half_tflops;
  return tflops * 1e12 / 2;
}

// The larger of two that overlap, and a little more where they are alike.
double overlapped(double a, double b) {
  return std::sqrt(std::hypot(a * a, b * b));
}

// Seconds of one task on the card, forward and backward.
double seconds_of(const Task& task, const Gpu& gpu, const RunConfig& config) {
  const CardCosts& costs = costs_of(gpu);
  const bool trains = config.mode == RunMode::kTraining;
  const bool tensor = config.format != NumberFormat::kFp32;
  const bool half = config.format == NumberFormat::kHalf;
  double computing = 0;
  if (task.product) {
    const bool together = config.channels_last && *task.product == Product::kDepthwise;
    const Product product = together ? Product::kChannelwise : *task.product;
    const auto& products = tensor ? costs.tensor_products : costs.fp32_products;
    const double idle = std::max(0.0, gpu.share * kFullResults / std::max(task.results, 1.0) - 1);
    computing = task.macs * task.padding * products[static_cast<size_t>(product)] * gpu.computing /
                macs_per_s(gpu, config.format) *
                (1 + idle * (tensor ? costs.tensor_idle : costs.fp32_idle));
  }
  double each = costs.traffic[static_cast<size_t>(task.traffic)];
  const bool channels_last = config.channels_last || task.channels_last;
  if (task.traffic == Traffic::kImages && tensor && !channels_last) each += costs.reordered;
  double moving = (task.elements * each * gpu.moving + task.weights) *
                  static_cast<double>(bytes_of(config.format)) / (gpu.bandwidth_gb_s * 1e9);
  if (half) moving *= costs.half_bytes;
  if (trains) {
    computing *= 1 + costs.backward_macs;
    moving *= (1 + costs.backward_bytes) * (half ? costs.autocast_bytes : 1);
  }
  return overlapped(computing, moving) + task.steps * costs.kernel_s * (trains ? 3 : 1);
}

double card_s(const Work& work, double parameters, const Gpu& gpu, const RunConfig& config) {
  double seconds = 0;
  for (const Task& task : work.tasks) seconds += seconds_of(task, gpu, config);
  if (config.mode == RunMode::kTraining) {
    seconds += kOptimizerPasses[static_cast<size_t>(config.optimizer)] * parameters * 4 /
               (gpu.bandwidth_gb_s * 1e9);
  }
  return seconds;
}

double host_s(const Work& work, const RunConfig& config) {
  double seconds = work.views * kHost.view_s;
  for (const Task& task : work.tasks) seconds += kHost.launch_s[static_cast<size_t>(task.traffic)];
  if (config.mode == RunMode::kInference) return seconds;
  if (config.mode == RunMode::kGraphKept) return seconds * kHost.graph;
  const bool casts = config.format == NumberFormat::kHalf;
  return seconds * kHost.training * (casts ? kHost.autocast : 1) + kHost.optimizer_s;
}

// What one of a hundred takes more of than this times what is said. Source: the 99th percentile of
// measured over said, of the configurations above with more than 200 MiB; for convolutions in
// strict FP32 cuDNN may take workspaces of several times the images.
double upper_share(const OperatorGraph& graph, const Gpu& gpu, const RunConfig& config) {
  constexpr double kUsual = 1.45, kStrictConvolutions = 4.4;
  const bool convolves = std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const auto& node) {
    return node.op == Operator::kConvolution && node.window.kernel != Window{}.kernel;
  });
  const bool strict = config.format == NumberFormat::kFp32 ||
                      (config.format == NumberFormat::kTf32 && gpu.tf32_tflops == 0);
  return convolves && strict ? kStrictConvolutions : kUsual;
}

struct StepTime {
  double busy, all;  // seconds
};

StepTime step_s(const Work& work, const OperatorGraph& graph, const Gpu& gpu,
                const RunConfig& config) {
  const double busy = card_s(work, static_cast<double>(graph.parameters), gpu, config);
  return {busy, overlapped(busy, host_s(work, config))};
}

double energy_j(const Work& work, double seconds, double busy_s, const Gpu& gpu,
                const RunConfig& config) {
  const auto width = static_cast<double>(bytes_of(config.format));
  double joules = 0;
  for (const Task& task : work.tasks) {
    joules += task.macs * kEnergy.mac_j[static_cast<size_t>(config.format)] +
              (task.elements + task.weights) * width * kEnergy.byte_j;
  }
  if (config.mode == RunMode::kTraining) joules *= kEnergy.backward;
  joules += seconds * gpu.idle_w + std::min(busy_s, seconds) * kEnergy.busy_w;
  return std::min(joules, seconds * gpu.power_w);  // the card sees to that
}

}  // namespace

Estimate estimate(const OperatorGraph& graph, const Gpu& gpu, const RunConfig& config,
                  double context_mib) {
  Estimate out;
  const double workspace = gpu.product_workspace_mib * kMiB;
  out.tensors = memory_use(graph, config, static_cast<uint64_t>(workspace));
  const double tensors_mib = static_cast<double>(out.tensors.reserved) / kMiB;
  out.memory_mib = tensors_mib + context_mib;
  out.memory_upper_mib = tensors_mib * upper_share(graph, gpu, config) + context_mib;
  out.work = work_of(graph, config.mode);
  const StepTime time = step_s(out.work, graph, gpu, config);
  out.latency_ms = 1e3 * time.all;
  out.energy_j = energy_j(out.work, time.all, time.busy, gpu, config);
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

std::optional<std::string> no_answer(const OperatorGraph& graph) {
  // Source: ours.
  constexpr double kMostUnknown = 0.1;
  constexpr size_t kMostNamed = 200;
  const double share = unknown_share(graph);
  if (share <= kMostUnknown) return std::nullopt;
  std::string names;
  for (const std::string& name : graph.unknown) names += (names.empty() ? "" : ", ") + name;
  return "no answer: " + std::to_string(static_cast<int>(100 * share)) +
         " % of it are operators of which nothing is known: " + names.substr(0, kMostNamed);
}

std::vector<double> slice_latencies_ms(const OperatorGraph& graph, const Gpu& gpu,
                                       const RunConfig& config) {
  std::vector<double> latencies_ms;
  const MigCard* card = mig_card(gpu.mig_card);
  if (card == nullptr) return latencies_ms;
  const Work work = work_of(graph, config.mode);
  for (const MigProfile& profile : card->profiles) {
    const double compute = static_cast<double>(profile.compute) / card->compute;
    Gpu slice = gpu;
    slice.share = compute;
    for (double* tflops : {&slice.fp32_tflops, &slice.tf32_tflops, &slice.half_tflops}) {
      *tflops *= compute;
    }
    slice.bandwidth_gb_s *= profile.usable_gib / card->profiles.back().usable_gib;
    latencies_ms.push_back(1e3 * step_s(work, graph, slice, config).all);
  }
  return latencies_ms;
}

}  // namespace auspex

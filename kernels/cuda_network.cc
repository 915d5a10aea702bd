// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda_network.h"

#include <dlfcn.h>

#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "kernels/cuda/abi.h"

namespace auspex {
namespace {

using cuda::AbiCard;
using cuda::AbiModule;
using cuda::Format;

struct Technique {
  std::string_view name;
  // Of a file; none: every layer in `format`.
  std::optional<Precision> precision;
  Format format = Format::kFp32;
};
constexpr Technique kTechniques[] = {
    {"fp32", Precision::kFp32},         {"tf32", {}, Format::kTf32}, {"bf16", Precision::kBf16},
    {"fp16", {}, Format::kFp16},        {"int8", Precision::kInt8},  {"int4", Precision::kInt4},
    {"int8-2:4", Precision::kInt8Pairs}};

Format format_of(Precision precision) {
  switch (precision) {
    case Precision::kFp32:
      return Format::kFp32;
    case Precision::kBf16:
      return Format::kBf16;
    case Precision::kInt8:
      return Format::kInt8;
    case Precision::kInt4:
      return Format::kInt4;
    case Precision::kInt8Pairs:
      return Format::kPairs;
  }
  return Format::kFp32;
}

// What this process knows of its card.
class Module {
 public:
  // Never destroyed: what is lost is still its own.
  static Module& of_process() {
    static Module& module = *new Module;
    return module;
  }

  // nullptr: there is none, state() says why.
  const AbiModule* get() {
    std::call_once(asked_, [this] { state_with([this](CudaState& state) { open(state); }); });
    return module_.load(std::memory_order_acquire);
  }

  bool retired() const { return retired_.load(std::memory_order_acquire); }
  void retire(const std::string& why) {
    state_with([&](CudaState& state) {
      if (state.fault.empty()) state.fault = why;
    });
    retired_.store(true, std::memory_order_release);
  }

  CudaState state() {
    const std::lock_guard lock(mutex_);
    return state_;
  }

  // A card that hangs does not come back from being asked to free something: its memory is lost.
  void give_back(cuda::AbiNetwork* network) {
    if (!retired()) return module_.load()->unload(network);
    const std::lock_guard lock(mutex_);
    lost_.push_back(network);
  }
  void give_room_back(void* memory) {
    if (!retired()) return module_.load()->give_room(memory);
    const std::lock_guard lock(mutex_);
    lost_.push_back(memory);
  }

 private:
  template <class Change>
  void state_with(const Change& change) {
    const std::lock_guard lock(mutex_);
    change(state_);
  }

  // The driver first: with the module alone the CUDA runtime would only say that it is missing.
  // What was loaded stays: CUDA does not survive being unloaded.
  void open(CudaState& state) { state.absence = found(state); }
  std::string found(CudaState& state) {
    if (!::dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL)) return "no driver: " + reason();
    void* const library = ::dlopen(cuda::kModuleFile, RTLD_NOW | RTLD_LOCAL);
    if (!library) return "the driver is here, the module is not: " + reason();
    const auto entry = reinterpret_cast<cuda::Entry>(::dlsym(library, cuda::kEntryName));
    if (!entry) return std::string(cuda::kModuleFile) + ": " + reason();
    const AbiModule* const module = entry();
    if (module->version != cuda::kAbiVersion) {
      return std::string(cuda::kModuleFile) + " is of version " + std::to_string(module->version) +
             ", this program needs version " + std::to_string(cuda::kAbiVersion);
    }
    AbiCard card{};
    if (const char* error = module->open(&card)) return error;
    state.card = card.name;
    module_.store(module, std::memory_order_release);
    return "";
  }
  static std::string reason() {
    const char* const text = ::dlerror();
    return text ? text : "unknown";
  }

  std::once_flag asked_;
  std::atomic<const AbiModule*> module_ = nullptr;
  std::atomic<bool> retired_ = false;
  std::mutex mutex_;
  CudaState state_;
  std::vector<void*> lost_;  // still reachable
};

class OnCard final : public Network {
 public:
  OnCard(std::string backend, const AbiModule& module, cuda::AbiNetwork* handle,
         std::shared_ptr<const Network> on_cpu)
      : backend_(std::move(backend)),
        module_(module),
        handle_(handle),
        on_cpu_(std::move(on_cpu)) {}
  ~OnCard() override { Module::of_process().give_back(handle_); }

  std::string_view backend() const override {
    return Module::of_process().retired() ? on_cpu_->backend() : backend_;
  }

  void predict(std::span<const EncodedJob> jobs, float* outputs) const override {
    Module& module = Module::of_process();
    if (!module.retired()) {
      const char* const error = module_.predict(handle_, jobs_of(jobs), jobs.size(), outputs);
      if (!error) return;
      module.retire(error);
    }
    on_cpu_->predict(jobs, outputs);
  }

  void mix(const PointerInput& input, Mixture& out) const override { on_cpu_->mix(input, out); }
  MixturePoints points(const Mixture& mixture) const override { return on_cpu_->points(mixture); }

  Result<std::vector<float>> times_us(std::span<const EncodedJob> jobs, uint32_t runs) const {
    std::vector<float> us(runs);
    const char* const error = module_.measure(handle_, jobs_of(jobs), jobs.size(), runs, us.data());
    if (error) return Error{error};
    return us;
  }

 private:
  static const cuda::Job* jobs_of(std::span<const EncodedJob> jobs) {
    return reinterpret_cast<const cuda::Job*>(jobs.data());
  }

  std::string backend_;
  const AbiModule& module_;
  cuda::AbiNetwork* handle_;
  std::shared_ptr<const Network> on_cpu_;
};

// backend: without kPersistentSuffix. Errors: an unknown one, and those that there are.
Result<std::vector<Format>> formats_of(std::string_view backend, const ModelFile& model) {
  std::vector<Format> formats;
  if (backend == kCudaSuffix.substr(1)) {
    for (const LayerView& layer : model.layers()) formats.push_back(format_of(layer.precision));
    return formats;
  }
  std::string known;
  for (const Technique& technique : kTechniques) {
    known += " " + std::string(technique.name) + std::string(kCudaSuffix);
    if (backend.substr(0, backend.size() - kCudaSuffix.size()) != technique.name) continue;
    formats.assign(model.layers().size(), technique.format);
    if (!technique.precision) return formats;
    const auto precisions = precisions_of(*technique.precision, formats.size());
    for (size_t i = 0; i < formats.size(); ++i) formats[i] = format_of(precisions[i]);
    return formats;
  }
  return Error{"backend \"" + std::string(backend) + "\" is none; these are:" + known};
}

}  // namespace

bool is_cuda(std::string_view backend) {
  if (backend.ends_with(kPersistentSuffix)) backend.remove_suffix(kPersistentSuffix.size());
  return backend == kCudaSuffix.substr(1) || backend.ends_with(kCudaSuffix);
}

std::vector<std::string> cuda_backends() {
  Module& module = Module::of_process();
  if (!module.get() || module.retired()) return {};
  std::vector<std::string> names;
  for (const Technique& technique : kTechniques) {
    names.push_back(std::string(technique.name) + std::string(kCudaSuffix));
  }
  return names;
}

Result<std::shared_ptr<const Network>> cuda_network(std::shared_ptr<const ModelFile> model,
                                                    const Plan& plan) {
  std::string_view backend = plan.backend;
  const bool persistent = backend.ends_with(kPersistentSuffix);
  if (persistent) backend.remove_suffix(kPersistentSuffix.size());
  if (persistent && plan.dense_input) {
    return Error{"backend " + plan.backend + ": a dense input is no kernel that stays on the card"};
  }
  if (model->pointer()) return Error{"the pointer network is computed on CPUs alone"};
  const auto formats = formats_of(backend, *model);
  if (!formats) return formats.error();
  Module& process = Module::of_process();
  const AbiModule* const module = process.get();
  const CudaState state = process.state();
  if (!module) return Error{"no GPU: " + state.absence};
  if (process.retired()) return Error{"the GPU has failed: " + state.fault};
  std::vector<cuda::AbiLayer> layers;
  for (size_t i = 0; i < formats->size(); ++i) {
    const LayerView& layer = model->layers()[i];
    layers.push_back(
        {layer.inputs, layer.outputs, layer.weights, layer.bias, layer.relu, (*formats)[i]});
  }
  const cuda::AbiModel description = {layers.data(), static_cast<uint32_t>(layers.size()),
                                      model->dense_inputs(), plan.dense_input, persistent};
  cuda::AbiNetwork* handle = nullptr;
  if (const char* error = module->load(&description, &handle)) {
    return Error{"the GPU cannot take the model: " + std::string(error)};
  }
  std::string name(backend);
  if (name == kCudaSuffix.substr(1)) name = model->summary().precision + std::string(kCudaSuffix);
  if (persistent) name += kPersistentSuffix;
  auto on_cpu = load_network(std::move(model));
  if (!on_cpu) {
    process.give_back(handle);
    return on_cpu.error();
  }
  return std::shared_ptr<const Network>(
      std::make_shared<OnCard>(std::move(name), *module, handle, std::move(*on_cpu)));
}

Result<std::shared_ptr<void>> cuda_room(size_t bytes) {
  Module& process = Module::of_process();
  const AbiModule* const module = process.get();
  const CudaState state = process.state();
  if (!module) return Error{"no GPU: " + state.absence};
  if (process.retired()) return Error{"the GPU has failed: " + state.fault};
  void* memory = nullptr;
  if (const char* error = module->take_room(bytes, &memory)) return Error{error};
  return std::shared_ptr<void>(memory, [&process](void* own) { process.give_room_back(own); });
}

CudaState cuda_state() {
  return Module::of_process().state();
}
bool cuda_failed() {
  return Module::of_process().retired();
}

Result<std::vector<float>> cuda_times_us(const Network& network, std::span<const EncodedJob> jobs,
                                         uint32_t runs) {
  const auto* const on_card = dynamic_cast<const OnCard*>(&network);
  if (!on_card) return Error{"backend " + std::string(network.backend()) + " is on no GPU"};
  return on_card->times_us(jobs, runs);
}

}  // namespace auspex

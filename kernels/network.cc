// SPDX-License-Identifier: Apache-2.0
#include "kernels/network.h"

#include <string>
#include <utility>

#include "kernels/parts.h"

namespace auspex {
namespace {

// A trunk, and the items behind it in FP32.
class PackedNetwork final : public Network {
 public:
  PackedNetwork(std::string_view backend, std::shared_ptr<const ModelFile> model,
                std::unique_ptr<const Trunk> trunk, const Fp32Functions& functions)
      : backend_(backend),
        model_(std::move(model)),
        trunk_(std::move(trunk)),
        functions_(functions) {}

  std::string_view backend() const override { return backend_; }

  void predict(std::span<const EncodedJob> jobs, float* outputs) const override {
    trunk_->run(jobs, outputs);
  }

  void mix(const PointerInput& input, Mixture& out) const override {
    mix_items(*model_, *input.view, trunk_->run(*input.job, input.view->number), functions_, out);
  }

  MixturePoints points(const Mixture& mixture) const override {
    return fast_points(mixture, functions_);
  }

 private:
  std::string_view backend_;
  std::shared_ptr<const ModelFile> model_;
  std::unique_ptr<const Trunk> trunk_;
  const Fp32Functions& functions_;
};

struct Variant {
  AvailableBackend backend;
  bool runs;
  const Fp32Functions* fp32;
  const Int8Functions* int8;  // nullptr: not of this precision
};

// Of each precision the fastest first.
std::vector<Variant> variants() {
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const bool vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  return {{{"fp32-avx512", Precision::kFp32}, avx512, &kFp32Avx512, nullptr},
          {{"fp32-avx2", Precision::kFp32}, avx2, &kFp32Avx2, nullptr},
          {{"fp32-portable", Precision::kFp32}, true, &kFp32Portable, nullptr},
          {{"int8-vnni", Precision::kInt8}, vnni, &kFp32Avx512, &kInt8Vnni},
          {{"int8-avx512", Precision::kInt8}, avx512, &kFp32Avx512, &kInt8Avx512},
          {{"int8-avx2", Precision::kInt8}, avx2, &kFp32Avx2, &kInt8Avx2},
          {{"int8-portable", Precision::kInt8}, true, &kFp32Portable, &kInt8Portable}};
}

constexpr std::string_view kReference = "reference";

}  // namespace

std::vector<AvailableBackend> available_backends() {
  std::vector<AvailableBackend> backends;
  for (const Variant& variant : variants()) {
    if (variant.runs) backends.push_back(variant.backend);
  }
  backends.push_back({kReference, Precision::kFp32});
  return backends;
}

std::vector<std::string_view> available_backends(Precision precision) {
  std::vector<std::string_view> names;
  for (const AvailableBackend& backend : available_backends()) {
    if (backend.precision == precision) names.push_back(backend.name);
  }
  return names;
}

Result<std::shared_ptr<const Network>> load_network(std::shared_ptr<const ModelFile> model,
                                                    std::string_view backend) {
  if (backend == kReference) return reference_network(std::move(model));
  const Precision precision = model->summary().precision;
  for (const Variant& v : variants()) {
    const bool wanted =
        backend == "auto" ? v.backend.precision == precision : backend == v.backend.name;
    if (!v.runs || !wanted) continue;
    if (v.int8) {
      if (Status fits = fits_int8(*model); !fits) return fits.error();
    }
    auto trunk = v.int8 ? int8_trunk(*model, *v.fp32, *v.int8) : fp32_trunk(*model, *v.fp32);
    return std::shared_ptr<const Network>(std::make_shared<PackedNetwork>(
        v.backend.name, std::move(model), std::move(trunk), *v.fp32));
  }
  std::string message = "backend \"" + std::string(backend) + "\" does not run here; these do:";
  for (const AvailableBackend& available : available_backends()) {
    message += " " + std::string(available.name);
  }
  return Error{message};
}

}  // namespace auspex

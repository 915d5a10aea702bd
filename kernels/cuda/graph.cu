// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/graph_body.h"
#include "kernels/cuda/launch.h"

namespace auspex::cuda {
namespace {

extern __shared__ Words shared_memory[];

__global__ void __launch_bounds__(kThreads) mean(const __grid_constant__ MeanParams params) {
  mean_body(params);
}

template <Format kFormat>
__global__ void __launch_bounds__(kThreads, 2)
    product(const __grid_constant__ ProductParams params) {
  product_body<kFormat>(params, reinterpret_cast<char*>(shared_memory));
}

using ProductKernel = void (*)(ProductParams);
ProductKernel product_kernel(Format format) {
  switch (format) {
    case Format::kTf32:
      return product<Format::kTf32>;
    case Format::kBf16:
      return product<Format::kBf16>;
    case Format::kFp16:
      return product<Format::kFp16>;
    default:
      return product<Format::kFp32>;
  }
}

}  // namespace

const char* launch_mean(const MeanParams& params, Stream* stream) {
  return launch(mean, &params, mean_blocks(params), 1, 0, stream);
}

const char* launch_product(const ProductParams& params, Stream* stream) {
  const auto kernel = product_kernel(params.layer.format);
  constexpr size_t kBytes = dense_bytes(kDenseMany);
  if (const char* error = text_of(allow(kernel, static_cast<uint32_t>(kBytes)))) return error;
  return launch(kernel, &params, product_blocks(params), 1, kBytes, stream);
}

}  // namespace auspex::cuda

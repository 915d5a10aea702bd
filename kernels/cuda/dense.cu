// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/dense_body.h"
#include "kernels/cuda/launch.h"

namespace auspex::cuda {
namespace {

extern __shared__ Words shared_memory[];

template <uint32_t kTile, Format kFormat>
__global__ void __launch_bounds__(kThreads, 2) dense(const __grid_constant__ DenseParams params) {
  dense_body<kTile, kFormat>(params, reinterpret_cast<char*>(shared_memory));
}

using DenseKernel = void (*)(DenseParams);
template <uint32_t kTile>
DenseKernel dense_kernel(Format format) {
  switch (format) {
    case Format::kTf32:
      return dense<kTile, Format::kTf32>;
    case Format::kBf16:
      return dense<kTile, Format::kBf16>;
    case Format::kFp16:
      return dense<kTile, Format::kFp16>;
    case Format::kInt8:
      return dense<kTile, Format::kInt8>;
    default:
      return dense<kTile, Format::kFp32>;
  }
}
DenseKernel dense_kernel(uint32_t tile, Format format) {
  return tile == kDenseFew ? dense_kernel<kDenseFew>(format) : dense_kernel<kDenseMany>(format);
}

}  // namespace

const char* allow_dense() {
  for (const uint32_t tile : {kDenseFew, kDenseMany}) {
    for (const Format format :
         {Format::kFp32, Format::kTf32, Format::kBf16, Format::kFp16, Format::kInt8}) {
      const cudaError_t status =
          allow(dense_kernel(tile, format), static_cast<uint32_t>(dense_bytes(tile)));
      if (const char* error = text_of(status)) return error;
    }
  }
  return nullptr;
}

const char* launch_dense(const DenseParams& params, uint32_t tile, Stream* stream) {
  const uint32_t blocks = params.samples / tile * dense_across(params.layer, tile) * params.parts;
  return launch(dense_kernel(tile, params.layer.format), &params, blocks, 1, dense_bytes(tile),
                stream);
}

}  // namespace auspex::cuda

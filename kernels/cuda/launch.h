// SPDX-License-Identifier: Apache-2.0
// How the files that nvcc compiles launch a kernel.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/runtime.h"

namespace auspex::cuda {

// The text belongs to the runtime and stays.
inline const char* text_of(cudaError_t status) {
  return status == cudaSuccess ? nullptr : cudaGetErrorString(status);
}

template <class Kernel>
const char* launch(Kernel* kernel, const void* params, uint32_t blocks, uint32_t peers,
                   size_t shared_bytes, Stream* stream) {
  cudaLaunchAttribute cluster{};
  cluster.id = cudaLaunchAttributeClusterDimension;
  cluster.val.clusterDim.x = peers;
  cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(kThreads);
  config.dynamicSmemBytes = shared_bytes;
  config.stream = reinterpret_cast<cudaStream_t>(stream);
  config.attrs = &cluster;
  config.numAttrs = peers > 1 ? 1 : 0;
  void* arguments[] = {const_cast<void*>(params)};
  return text_of(cudaLaunchKernelExC(&config, reinterpret_cast<const void*>(kernel), arguments));
}

// Lets a block of it have so much shared memory.
template <class Kernel>
cudaError_t allow(Kernel* kernel, uint32_t shared_bytes) {
  return cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                              cudaFuncAttributeMaxDynamicSharedMemorySize,
                              static_cast<int>(shared_bytes));
}

// What each of them has to ask for once.
const char* allow_dense();
const char* allow_resident(const Card& card);

}  // namespace auspex::cuda

// SPDX-License-Identifier: Apache-2.0
// The words in which the kernels are written: those of a GPU under nvcc, and of its emulation under
// any other compiler, where tests run the very same bodies.
#pragma once

#ifdef __CUDACC__
#include "kernels/cuda/device_nvidia.h"
#else
#include "kernels/cuda/device_emulated.h"
#endif

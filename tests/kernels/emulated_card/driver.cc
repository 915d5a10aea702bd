// SPDX-License-Identifier: Apache-2.0
// Stands where a driver's libcuda.so.1 would.
extern "C" __attribute__((visibility("default"))) int cuInit(unsigned) {
  return 0;
}

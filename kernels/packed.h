// SPDX-License-Identifier: Apache-2.0
// Where packed weights and activations lie.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace auspex {

inline constexpr size_t kCacheLine = 64;

// On a cache line's border, and on huge pages where the system gives them: gathered rows lie far
// apart.
template <class T>
struct Placed {
  using value_type = T;
  static constexpr size_t kHugePage = size_t{2} << 20;
  static std::align_val_t alignment(size_t n) {
    return std::align_val_t{n * sizeof(T) >= kHugePage ? kHugePage : kCacheLine};
  }
  T* allocate(size_t n) {
    void* memory = ::operator new(n * sizeof(T), alignment(n));
    if (n * sizeof(T) >= kHugePage) ::madvise(memory, n * sizeof(T), MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) { ::operator delete(memory, alignment(n)); }
  bool operator==(const Placed&) const { return true; }
};
template <class T>
using Packed = std::vector<T, Placed<T>>;

constexpr uint32_t padded(uint32_t count, uint32_t step) {
  return (count + step - 1) / step * step;
}

}  // namespace auspex

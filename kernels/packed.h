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
  // Whole huge pages: of a page in part the system gives small ones.
  static size_t bytes(size_t n) {
    const size_t used = n * sizeof(T);
    return used >= kHugePage ? (used + kHugePage - 1) / kHugePage * kHugePage : used;
  }
  T* allocate(size_t n) {
    void* memory = ::operator new(bytes(n), alignment(n));
    if (bytes(n) >= kHugePage) ::madvise(memory, bytes(n), MADV_HUGEPAGE);
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

// SPDX-License-Identifier: Apache-2.0
// Memory of the card, given back together. Errors: as in runtime.h.
#pragma once

#include <vector>

#include "kernels/cuda/runtime.h"

namespace auspex::cuda {

class CardMemory {
 public:
  CardMemory() = default;
  ~CardMemory() {
    for (void* const memory : pieces_) release(memory);
  }
  CardMemory(const CardMemory&) = delete;
  CardMemory& operator=(const CardMemory&) = delete;

  template <class T>
  const char* take(size_t count, T** to) {
    void* memory = nullptr;
    if (const char* error = allocate(count * sizeof(T), &memory)) return error;
    pieces_.push_back(memory);
    *to = static_cast<T*>(memory);
    return nullptr;
  }

  // Of what is empty: nullptr.
  template <class T>
  const char* send(const std::vector<T>& values, const void** to) {
    *to = nullptr;
    if (values.empty()) return nullptr;
    T* memory = nullptr;
    if (const char* error = take(values.size(), &memory)) return error;
    *to = memory;
    return upload(memory, values.data(), values.size() * sizeof(T));
  }

 private:
  std::vector<void*> pieces_;
};

}  // namespace auspex::cuda

// SPDX-License-Identifier: Apache-2.0
// A kernel that stays on the card and answers single samples: resident_body.h. One of a process at
// a time: who is asked comes, who was there leaves.
#pragma once

#include "kernels/cuda/runtime.h"

namespace auspex::cuda {

class Resident {
 public:
  Resident() = default;
  ~Resident();  // it is not on the card any more
  Resident(const Resident&) = delete;
  Resident& operator=(const Resident&) = delete;

  // network: outlives it. shared_bytes: of a block, without what is asked.
  const char* open(const Card& card, const SingleNetwork& network, size_t shared_bytes);

  // job -> outputs [outputs]. false: another thread asks, or the card has to come to rest, and
  // nothing was done. Errors: what the card says; that it does not answer.
  bool answer(const Job& job, float* outputs, const char** error);

 private:
  friend class Rest;

  const char* come();
  const char* leave();
  void post(const Job& job, Asked what);
  template <class Done>
  const char* wait(const Done& done, bool* ended);

  Card card_;
  ResidentParams params_;
  size_t shared_bytes_ = 0;
  Stream* stream_ = nullptr;
  void* memory_ = nullptr;     // of the host; both below lie in it
  uint64_t* asked_ = nullptr;  // Shape: [kAskedWords]
  uint32_t* shown_ = nullptr;  // Shape: [outputs]
  uint32_t number_ = 0;
};

// While it lives, no kernel stays on the card. CUDA takes and gives back memory when a card is at
// rest, and would wait for one that stays.
class Rest {
 public:
  Rest();
  ~Rest();
  Rest(const Rest&) = delete;
  Rest& operator=(const Rest&) = delete;
  // One that does not leave.
  const char* error() const { return error_; }

 private:
  const char* error_ = nullptr;
};

}  // namespace auspex::cuda

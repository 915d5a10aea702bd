// SPDX-License-Identifier: Apache-2.0
// The threads of a cluster as fibers of one thread of the host: each runs until it waits for
// others.
#pragma once

#include <ucontext.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace auspex::emulated {

// Ends when every fiber has returned from `body`. Aborts, and says so, if all wait for each other.
class Fibers {
 public:
  Fibers(uint32_t count, std::function<void(uint32_t fiber)> body);
  ~Fibers();
  Fibers(const Fibers&) = delete;
  Fibers& operator=(const Fibers&) = delete;
  void run();

  // Of the fiber that calls.
  static uint32_t own();
  // Lets others run until `ready` says yes.
  template <class Ready>
  static void wait(const Ready& ready) {
    while (!ready()) pass();
  }
  // Somebody's wait may be over.
  static void progressed();

 private:
  struct Fiber;
  static void pass();
  static void enter(uint32_t low, uint32_t high);
  void switch_to(Fiber& fiber);

  std::function<void(uint32_t)> body_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  ucontext_t home_;
  void* home_fake_stack_ = nullptr;
  const void* home_stack_ = nullptr;
  size_t home_size_ = 0;
  uint32_t own_ = 0;
  uint64_t progress_ = 0;
};

}  // namespace auspex::emulated

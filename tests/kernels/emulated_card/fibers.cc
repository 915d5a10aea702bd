// SPDX-License-Identifier: Apache-2.0
#include "tests/kernels/emulated_card/fibers.h"

#include <cstdio>
#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

namespace auspex::emulated {
namespace {

constexpr size_t kStackBytes = 64 << 10;
thread_local Fibers* g_running = nullptr;

// Stacks that nobody runs on: thousands at a time are asked for anew with every cluster.
thread_local std::vector<std::unique_ptr<char[]>> g_stacks;

std::unique_ptr<char[]> some_stack() {
  if (g_stacks.empty()) return std::unique_ptr<char[]>(new char[kStackBytes]);
  auto stack = std::move(g_stacks.back());
  g_stacks.pop_back();
  return stack;
}

// The address sanitizer wants to know whose stack it looks at.
void leaving(void** fake_stack, const void* to, size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(fake_stack, to, bytes);
#else
  (void)fake_stack, (void)to, (void)bytes;
#endif
}
void entered(void* fake_stack, const void** from, size_t* bytes) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack, from, bytes);
#else
  (void)fake_stack, (void)from, (void)bytes;
#endif
}

}  // namespace

struct Fibers::Fiber {
  explicit Fiber(Fibers* of) {
    getcontext(&context);
    context.uc_stack.ss_sp = stack.get();
    context.uc_stack.ss_size = kStackBytes;
    context.uc_link = nullptr;
    const auto self = reinterpret_cast<uintptr_t>(of);
    makecontext(&context, reinterpret_cast<void (*)()>(&Fibers::enter), 2,
                static_cast<uint32_t>(self), static_cast<uint32_t>(self >> 32));
  }
  ~Fiber() { g_stacks.push_back(std::move(stack)); }
  ucontext_t context;
  std::unique_ptr<char[]> stack = some_stack();
  void* fake_stack = nullptr;
  bool ended = false;
};

Fibers::Fibers(uint32_t count, std::function<void(uint32_t)> body) : body_(std::move(body)) {
  for (uint32_t i = 0; i < count; ++i) fibers_.push_back(std::make_unique<Fiber>(this));
}

Fibers::~Fibers() = default;

void Fibers::enter(uint32_t low, uint32_t high) {
  auto& self = *reinterpret_cast<Fibers*>(uintptr_t{high} << 32 | low);
  entered(nullptr, &self.home_stack_, &self.home_size_);
  self.body_(self.own_);
  Fiber& fiber = *self.fibers_[self.own_];
  fiber.ended = true;
  ++self.progress_;
  leaving(nullptr, self.home_stack_, self.home_size_);
  setcontext(&self.home_);
}

void Fibers::switch_to(Fiber& fiber) {
  leaving(&home_fake_stack_, fiber.stack.get(), kStackBytes);
  swapcontext(&home_, &fiber.context);
  entered(home_fake_stack_, nullptr, nullptr);
}

void Fibers::pass() {
  Fibers& self = *g_running;
  Fiber& fiber = *self.fibers_[self.own_];
  leaving(&fiber.fake_stack, self.home_stack_, self.home_size_);
  swapcontext(&fiber.context, &self.home_);
  entered(fiber.fake_stack, &self.home_stack_, &self.home_size_);
}

void Fibers::run() {
  g_running = this;
  size_t left = fibers_.size();
  while (left > 0) {
    const uint64_t before = progress_;
    left = 0;
    for (uint32_t i = 0; i < fibers_.size(); ++i) {
      if (fibers_[i]->ended) continue;
      own_ = i;
      switch_to(*fibers_[i]);
      left += !fibers_[i]->ended;
    }
    if (left > 0 && progress_ == before) {
      std::fprintf(stderr, "emulated card: %zu threads wait for each other\n", left);
      std::abort();
    }
  }
  g_running = nullptr;
}

uint32_t Fibers::own() {
  return g_running->own_;
}
void Fibers::progressed() {
  ++g_running->progress_;
}

}  // namespace auspex::emulated

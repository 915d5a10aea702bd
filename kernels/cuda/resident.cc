// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/resident.h"

#include <atomic>
#include <chrono>
#include <cstring>
#include <mutex>

namespace auspex::cuda {
namespace {

// At the outputs, between looks at whether the kernel has left or the card has failed.
constexpr uint32_t kLooks = 64;

// Whose turn it is: of a thread that asks a kernel which stays, or that wants none.
std::mutex g_turn;
Resident* g_staying = nullptr;  // or has left by itself

}  // namespace

Resident::~Resident() {
  if (stream_) close_stream(stream_);
  if (memory_) release_shared(memory_);
}

const char* Resident::open(const Card& card, const SingleNetwork& network, size_t shared_bytes) {
  card_ = card;
  static_cast<SingleNetwork&>(params_) = network;
  shared_bytes_ = kAskedBytes + shared_bytes;
  params_.idle_ns = uint64_t{card.idle_ms} * 1'000'000;
  if (const char* error = open_stream(&stream_)) return error;
  const size_t asked_bytes = kAskedWords * sizeof(uint64_t);
  void* device = nullptr;
  const char* const error =
      allocate_shared(asked_bytes + network.outputs * sizeof(float), &memory_, &device);
  if (error) return error;
  asked_ = static_cast<uint64_t*>(memory_);
  shown_ = reinterpret_cast<uint32_t*>(asked_ + kAskedWords);
  params_.asked = static_cast<const uint64_t*>(device);
  params_.output = reinterpret_cast<float*>(static_cast<uint64_t*>(device) + kAskedWords);
  return nullptr;
}

// For the request that was posted last.
const char* Resident::come() {
  params_.first = number_;
  return launch_resident(params_, card_.peers, shared_bytes_, stream_);
}

void Resident::post(const Job& job, Asked what) {
  uint32_t words[kAskedWords];
  std::memcpy(words, &job, sizeof job);
  words[kAskedWords - 1] = what;
  ++number_;
  for (uint32_t i = 0; i < kAskedWords; ++i) {
    const uint64_t word = uint64_t{number_} << 32 | words[i];
    std::atomic_ref(asked_[i]).store(word, std::memory_order_release);
  }
}

// Until `done` says so, or the kernel has left.
template <class Done>
const char* Resident::wait(const Done& done, bool* ended) {
  using std::chrono::steady_clock;
  const auto late = steady_clock::now() + std::chrono::milliseconds(card_.patience_ms);
  while (true) {
    for (uint32_t look = 0; look < kLooks; ++look) {
      if (done()) return nullptr;
    }
    if (const char* error = ask(stream_, ended)) return error;
    if (*ended) return nullptr;
    if (steady_clock::now() > late) return "the card does not answer";
  }
}

const char* Resident::leave() {
  post(Job{}, kLeave);
  bool ended = false;
  return wait([] { return false; }, &ended);
}

bool Resident::answer(const Job& job, float* outputs, const char** error) {
  const std::unique_lock turn(g_turn, std::try_to_lock);
  if (!turn) return false;
  for (uint32_t i = 0; i < params_.outputs; ++i) {
    std::atomic_ref(shown_[i]).store(kPending, std::memory_order_relaxed);
  }
  post(job, kAnswer);
  uint32_t there = 0;
  const auto done = [&] {
    for (; there < params_.outputs; ++there) {
      const uint32_t word = std::atomic_ref(shown_[there]).load(std::memory_order_acquire);
      if (word == kPending) return false;
      std::memcpy(outputs + there, &word, sizeof word);
    }
    return true;
  };
  *error = nullptr;
  bool ended = g_staying != this;
  if (ended && g_staying) *error = g_staying->leave();
  if (!ended) *error = wait(done, &ended);
  // It may have left before it saw the request; what it answered is there once it has ended.
  if (*error || !ended || done()) return true;
  g_staying = this;
  ended = false;
  if ((*error = come()) || (*error = wait(done, &ended))) return true;
  if (ended && !done()) *error = "the card leaves without an answer";
  return true;
}

Rest::Rest() {
  g_turn.lock();
  if (g_staying) error_ = g_staying->leave();
  if (!error_) g_staying = nullptr;
}

Rest::~Rest() {
  g_turn.unlock();
}

}  // namespace auspex::cuda

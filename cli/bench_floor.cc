// SPDX-License-Identifier: Apache-2.0
#include "cli/bench_floor.h"

#include <algorithm>
#include <set>

namespace auspex::cli {
namespace {

// Eight sums at a time, so that none waits for the last one.
constexpr size_t kSums = 8;
using Wide = uint64_t __attribute__((vector_size(64)));

// count: a multiple of kSums.
__attribute__((always_inline)) inline uint64_t sum_of(const Wide* from, size_t count) {
  Wide sums[kSums] = {};
  for (size_t i = 0; i < count; i += kSums) {
    for (size_t k = 0; k < kSums; ++k) sums[k] += from[i + k];
  }
  Wide sum = {};
  for (const Wide& part : sums) sum += part;
  uint64_t total = 0;
  for (size_t k = 0; k < sizeof(Wide) / sizeof(uint64_t); ++k) total += sum[k];
  return total;
}

#if defined(__x86_64__)
__attribute__((target("avx512f"))) uint64_t sum_avx512(const Wide* from, size_t count) {
  return sum_of(from, count);
}
__attribute__((target("avx2"))) uint64_t sum_avx2(const Wide* from, size_t count) {
  return sum_of(from, count);
}
#endif
uint64_t sum_portable(const Wide* from, size_t count) {
  return sum_of(from, count);
}

using Sum = uint64_t (*)(const Wide*, size_t);
Sum widest_sum() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) return sum_avx512;
  if (__builtin_cpu_supports("avx2")) return sum_avx2;
#endif
  return sum_portable;
}

class Floor final : public Contestant {
 public:
  explicit Floor(uint64_t bytes)
      : Contestant({"floor", "", ""}, bytes),
        read_((bytes + kStep - 1) / kStep * kSums),
        memory_(read_ + 1) {
    void* at = memory_.data();
    size_t space = memory_.size() * sizeof(Line);
    from_ = static_cast<const Wide*>(std::align(alignof(Wide), read_ * sizeof(Wide), at, space));
  }
  bool takes(uint32_t batch) const override { return batch == 1; }
  Result<std::vector<double>> run(const CallRound& round) override {
    return call_times(
        round, [] {}, [this] { kept_ = sum_(from_, read_); });
  }

 private:
  static constexpr size_t kStep = kSums * sizeof(Wide);
  struct Line {
    uint64_t words[sizeof(Wide) / sizeof(uint64_t)] = {1};
  };
  const Sum sum_ = widest_sum();
  size_t read_;
  std::vector<Line> memory_;
  const Wide* from_;
  volatile uint64_t kept_ = 0;
};

}  // namespace

void add_floors(Contestants& contestants) {
  std::set<uint64_t> sizes;
  for (const auto& contestant : contestants) sizes.insert(contestant->bytes());
  sizes.erase(0);
  for (const uint64_t bytes : sizes) contestants.push_back(std::make_unique<Floor>(bytes));
}

bool is_floor(const Contestant& contestant) {
  return dynamic_cast<const Floor*>(&contestant) != nullptr;
}

}  // namespace auspex::cli

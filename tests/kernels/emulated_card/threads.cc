// SPDX-License-Identifier: Apache-2.0
// The words of kernels/cuda/device.h, as one fiber says them.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/cuda/device.h"
#include "tests/kernels/emulated_card/card.h"
#include "tests/kernels/emulated_card/cluster.h"

namespace auspex::cuda {

using emulated::Cluster;
using emulated::Fibers;
using emulated::g_cluster;

namespace {

uint32_t rank() {
  return Fibers::own() / kThreads;
}
Cluster::Warp& own_warp() {
  return g_cluster->warps[Fibers::own() / 32];
}

// All lanes of a warp meet; the last one to come does the work for all.
template <class Work>
void meet(void* mine, const Work& work) {
  Cluster::Warp& warp = own_warp();
  warp.mine[lane()] = mine;
  const uint64_t round = warp.round;
  if (++warp.there == 32) {
    work(warp.mine);
    warp.there = 0;
    ++warp.round;
    Fibers::progressed();
  }
  Fibers::wait([&] { return warp.round != round; });
}

}  // namespace

uint32_t thread() {
  return Fibers::own() % kThreads;
}
uint32_t lane() {
  return Fibers::own() % 32;
}
uint32_t warp() {
  return thread() / 32;
}
uint32_t block() {
  return g_cluster->first_block + rank();
}

void sync_threads() {
  Cluster::Barrier& barrier = g_cluster->blocks[rank()];
  const uint64_t round = barrier.round;
  if (++barrier.there == kThreads) {
    barrier.there = 0;
    ++barrier.round;
    Fibers::progressed();
  }
  Fibers::wait([&] { return barrier.round != round; });
}

void arrive_peers() {
  Cluster::Barrier& barrier = g_cluster->all;
  g_cluster->arrived[Fibers::own()] = barrier.round;
  if (++barrier.there == kThreads * g_cluster->peers) {
    barrier.there = 0;
    ++barrier.round;
    Fibers::progressed();
  }
}

void wait_peers() {
  const uint64_t round = g_cluster->arrived[Fibers::own()];
  Fibers::wait([&] { return g_cluster->all.round != round; });
}

void* peer_address(void* shared, uint32_t peer) {
  const auto offset = static_cast<char*>(shared) - g_cluster->memory[rank()];
  return g_cluster->memory[peer] + offset;
}

namespace {

Cluster::Gate& gate_at(const void* place) {
  const auto found = g_cluster->gates.find(place);
  if (found != g_cluster->gates.end()) return found->second;
  std::fputs("emulated card: a gate that nobody has made\n", stderr);
  std::abort();
}
void open_if_all_is_there(Cluster::Gate& gate) {
  if (!gate.announced || gate.missing != 0) return;
  for (const auto& [to, word] : gate.sent) std::memcpy(to, &word, sizeof word);
  gate.sent.clear();
  gate.announced = false;
  ++gate.opened;
  Fibers::progressed();
}

}  // namespace

void make_gate(uint64_t* gate) {
  g_cluster->gates[gate] = {};
}
void announce(uint64_t* gate, uint32_t bytes) {
  Cluster::Gate& own = gate_at(gate);
  if (own.announced) {
    std::fputs("emulated card: announced twice\n", stderr);
    std::abort();
  }
  own.announced = true;
  own.missing += bytes;
  open_if_all_is_there(own);
}
void send_word(void* to, uint32_t word, void* gate) {
  // Some come at once, some no sooner than they must.
  Cluster::Gate& there = gate_at(gate);
  if (there.missing % 8 == 0) {
    std::memcpy(to, &word, sizeof word);
  } else {
    there.sent.emplace_back(to, word);
  }
  there.missing -= static_cast<int64_t>(sizeof word);
  open_if_all_is_there(there);
}
// A gate tells odd openings from even ones, no more.
void pass(uint64_t* gate, uint32_t turn) {
  const Cluster::Gate& own = gate_at(gate);
  Fibers::wait([&] { return own.opened % 2 != turn % 2; });
}

float shuffle_xor(float value, uint32_t mask) {
  struct Exchange {
    float given, got;
    uint32_t mask;
  } exchange = {value, 0, mask};
  meet(&exchange, [](void* const* lanes) {
    for (uint32_t i = 0; i < 32; ++i) {
      auto* const own = static_cast<Exchange*>(lanes[i]);
      own->got = static_cast<const Exchange*>(lanes[i ^ own->mask])->given;
    }
  });
  return exchange.got;
}

// Zero is what a mailbox says before anything was asked.
uint64_t look(const uint64_t* at) {
  return emulated::g_settings.hangs ? 0 : __atomic_load_n(at, __ATOMIC_ACQUIRE);
}
uint64_t clock_ns() {
  if (emulated::g_settings.ends) return UINT64_MAX;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::nanoseconds(now).count());
}
bool all_lanes(bool value) {
  bool all = value;
  meet(&all, [](void* const* lanes) {
    const bool each =
        std::all_of(lanes, lanes + 32, [](void* own) { return *static_cast<bool*>(own); });
    for (uint32_t i = 0; i < 32; ++i) *static_cast<bool*>(lanes[i]) = each;
  });
  return all;
}

void copy_async(Words* shared, const Words* from) {
  g_cluster->copies[Fibers::own()].emplace_back(shared, from);
}
void wait_copies() {
  for (const auto& [to, from] : g_cluster->copies[Fibers::own()]) {
    *static_cast<Words*>(to) = *static_cast<const Words*>(from);
  }
  g_cluster->copies[Fibers::own()].clear();
}

float float_of_half(uint32_t bits) {
  const int exponent = static_cast<int>(bits >> 10 & 31);
  const auto digits = static_cast<float>(bits & 1023);
  const float size = exponent == 31  ? (digits > 0 ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(digits, -24)
                                     : std::ldexp(1024 + digits, exponent - 25);
  return bits & 0x8000 ? -size : size;
}

uint16_t half_of(float value) {
  const float size = std::abs(value);
  const auto sign = static_cast<uint16_t>(std::signbit(value) ? 0x8000 : 0);
  if (!(size < 65520)) return static_cast<uint16_t>(sign | 0x7c00);
  const int exponent = size > 0 ? std::max(std::ilogb(size), -14) : -14;
  const auto whole = static_cast<int>(std::nearbyint(std::ldexp(size, 10 - exponent)));
  const int raised = whole >= 1024 ? (exponent + 14) * 1024 : 0;
  return static_cast<uint16_t>(sign | static_cast<uint16_t>(raised + whole));
}

namespace {

// Products of fragments, as the PTX ISA lays them out. A lane's `Product` is its registers.
template <class Sum>
struct Product {
  Sum* sum;
  uint32_t a[4], b[4], places;
};

// Element `k` of a row: which lane has it, in which register, and the part of that.
struct Spot {
  uint32_t lane, reg, part;
};

template <class Sum, class A, class B>
void multiply(Sum (&sum)[4], const uint32_t (&a)[4], const uint32_t* b, uint32_t registers,
              uint32_t depth, const A& a_at, const B& b_at, uint32_t places = 0) {
  Product<Sum> product{sum, {a[0], a[1], a[2], a[3]}, {}, places};
  std::memcpy(product.b, b, registers * sizeof(uint32_t));
  meet(&product, [&](void* const* lanes) {
    const auto of = [&](uint32_t i) -> Product<Sum>& {
      return *static_cast<Product<Sum>*>(lanes[i]);
    };
    for (uint32_t row = 0; row < 16; ++row) {
      for (uint32_t column = 0; column < 8; ++column) {
        Sum total = 0;
        for (uint32_t k = 0; k < depth; ++k) total += a_at(of, row, k) * b_at(of, column, k);
        // c0, c1: row lane / 4, columns 2 (lane % 4) and one on; c2, c3: row 8 on.
        of(row % 8 * 4 + column / 2).sum[row / 8 * 2 + column % 2] += total;
      }
    }
  });
}

// [16][k] with k of `per` elements a register and four lanes a row: a0 rows below 8, a1 the others,
// a2 and a3 the second half of k. b0 the first half, b1 the second.
template <class Sum, class Read>
void multiply_halves(Sum (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, uint32_t per,
                     const Read& read_a, const Read& read_b) {
  const uint32_t b[2] = {b0, b1}, half = 4 * per;
  multiply(
      sum, a, b, 2, 2 * half,
      [&](const auto& of, uint32_t row, uint32_t k) {
        return read_a(of(row % 8 * 4 + k % half / per).a[row / 8 + k / half * 2], k % per);
      },
      [&](const auto& of, uint32_t column, uint32_t k) {
        return read_b(of(column * 4 + k % half / per).b[k / half], k % per);
      });
}

using ReadFloat = float (*)(uint32_t, uint32_t);
using ReadInt = int32_t (*)(uint32_t, uint32_t);

int32_t signed_byte(uint32_t word, uint32_t place) {
  return static_cast<int8_t>(word >> (8 * place) & 0xff);
}
int32_t unsigned_byte(uint32_t word, uint32_t place) {
  return static_cast<int32_t>(word >> (8 * place) & 0xff);
}

}  // namespace

void multiply_tf32(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const ReadFloat read = [](uint32_t word, uint32_t) { return float_of(word & ~0x1fffU); };
  multiply_halves(sum, a, b0, b1, 1, read, read);
}
void multiply_bf16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const ReadFloat read = [](uint32_t word, uint32_t place) {
    return float_of(word >> (16 * place) << 16);
  };
  multiply_halves(sum, a, b0, b1, 2, read, read);
}
void multiply_fp16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  const ReadFloat read = [](uint32_t word, uint32_t place) {
    return float_of_half(word >> (16 * place) & 0xffff);
  };
  multiply_halves(sum, a, b0, b1, 2, read, read);
}
void multiply_int8(int32_t (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  multiply_halves(sum, a, b0, b1, 4, ReadInt{signed_byte}, ReadInt{unsigned_byte});
}

void multiply_pairs(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[4],
                    uint32_t places) {
  // k: of the 32 weights of a row that are there. Group k / 2 has inputs 4 (k / 2) to 4 (k / 2)
  // + 4.
  const auto input_of = [](const auto& of, uint32_t row, uint32_t k) {
    const uint32_t group = k / 2;
    const uint32_t told = of(row % 8 * 4 + group / 8 * 2 + row / 8).places >> (4 * (group % 8));
    return 4 * group + (told >> (2 * (k % 2)) & 3);
  };
  // A product with all 64 inputs, where a weight that is not there is zero.
  multiply(
      sum, a, b, 4, 64,
      [&](const auto& of, uint32_t row, uint32_t input) {
        for (uint32_t k = input / 4 * 2; k < input / 4 * 2 + 2; ++k) {
          if (input_of(of, row, k) != input) continue;
          return signed_byte(of(row % 8 * 4 + k % 16 / 4).a[row / 8 + k / 16 * 2], k % 4);
        }
        return int32_t{0};
      },
      [&](const auto& of, uint32_t column, uint32_t k) {
        return unsigned_byte(of(column * 4 + k % 16 / 4).b[k / 16], k % 4);
      },
      places);
}

}  // namespace auspex::cuda

// SPDX-License-Identifier: Apache-2.0
// See device.h. Each thread of a cluster is a fiber; what waits for others lets them run. Defined
// by tests/kernels/emulated_card: products of programs contain none of it.
#pragma once

#include <math.h>
#include <string.h>

#include "kernels/cuda/network_view.h"

#define AUSPEX_DEVICE inline
#define AUSPEX_UNROLL(times)

namespace auspex::cuda {

uint32_t thread();
uint32_t lane();
uint32_t warp();
uint32_t block();
void sync_threads();
void arrive_peers();
void wait_peers();
void* peer_address(void* shared, uint32_t peer);
// What is sent may be late: shared memory holds all of it when the gate opens.
void make_gate(uint64_t* gate);
void announce(uint64_t* gate, uint32_t bytes);
void send_word(void* to, uint32_t word, void* gate);
template <class T>
void send(T* shared, uint32_t peer, uint32_t index, T value, uint64_t* gate) {
  static_assert(sizeof(T) == 4);
  uint32_t word;
  memcpy(&word, &value, 4);
  send_word(static_cast<T*>(peer_address(shared, peer)) + index, word, peer_address(gate, peer));
}
void pass(uint64_t* gate, uint32_t turn);

float shuffle_xor(float value, uint32_t mask);

inline Words fetch(const Words* from) {
  return *from;
}
inline uint32_t fetch(const uint32_t* from) {
  return *from;
}
inline float fetch(const float* from) {
  return *from;
}
inline void fetch_pair(const uint32_t* from, uint32_t (&to)[2]) {
  to[0] = from[0];
  to[1] = from[1];
}
inline Words read(const Words* from) {
  return *from;
}
inline void write(Words* to, const Words& v) {
  *to = v;
}
// Copies are late: shared memory holds them after wait_copies().
void copy_async(Words* shared, const Words* from);
void wait_copies();

uint64_t look(const uint64_t* at);
inline void show(float* to, float value) {
  __atomic_store(to, &value, __ATOMIC_RELEASE);
}
uint64_t clock_ns();
bool all_lanes(bool value);

inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
inline uint32_t byte_behind(uint32_t word, uint32_t place, uint32_t base) {
  return (base & ~0xffU) | (word >> (8 * place) & 0xff);
}
inline uint32_t odd_bytes(uint32_t word) {
  return word >> 8 & 0x00ff00ffU;
}
inline float not_a_number() {
  return float_of(0x7fc00000U);
}
inline uint32_t rounded_up_to_255(float value) {
  return static_cast<uint32_t>(lrintf(value));
}
uint16_t half_of(float value);
float float_of_half(uint32_t bits);

void multiply_tf32(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void multiply_bf16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void multiply_fp16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void multiply_int8(int32_t (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void multiply_pairs(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[4],
                    uint32_t places);

}  // namespace auspex::cuda

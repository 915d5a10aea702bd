// SPDX-License-Identifier: Apache-2.0
// See device.h. Source of instructions and fragments: NVIDIA PTX ISA 8.5, "Warp-level matrix
// multiply-accumulate" and "Asynchronous copy".
#pragma once

#include <cuda_fp16.h>

#include "kernels/cuda/network_view.h"

#define AUSPEX_DEVICE __device__ __forceinline__
// Of the loop behind it: whole, or so many times.
#define AUSPEX_PRAGMA(text) _Pragma(#text)
#define AUSPEX_UNROLL(times) AUSPEX_PRAGMA(unroll times)

namespace auspex::cuda {

AUSPEX_DEVICE uint32_t thread() {
  return threadIdx.x;
}
AUSPEX_DEVICE uint32_t lane() {
  return threadIdx.x % 32;
}
AUSPEX_DEVICE uint32_t warp() {
  return threadIdx.x / 32;
}
AUSPEX_DEVICE uint32_t block() {
  return blockIdx.x;
}
AUSPEX_DEVICE void sync_threads() {
  __syncthreads();
}

// Before CUDA 12.1 there are no gates, see below.
#define AUSPEX_GATES \
  (__CUDA_ARCH__ >= 900 && __CUDACC_VER_MAJOR__ * 10 + __CUDACC_VER_MINOR__ >= 121)

// Blocks of a cluster wait for each other, and write into each other's shared memory. Before
// compute capability 9.0 a block is alone.
#if __CUDA_ARCH__ >= 900
AUSPEX_DEVICE void arrive_peers() {
#if AUSPEX_GATES  // which tell what was written
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#else
  asm volatile("barrier.cluster.arrive.aligned;" ::: "memory");
#endif
}
AUSPEX_DEVICE void wait_peers() {
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
}
template <class T>
AUSPEX_DEVICE uint32_t peer_address(const T* shared, uint32_t peer) {
  const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  uint32_t there;
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(peer));
  return there;
}
#else
AUSPEX_DEVICE void arrive_peers() {}
AUSPEX_DEVICE void wait_peers() {
  __syncthreads();
}
#endif

// A gate of a block opens when as many bytes were sent through it as were announced; then they are
// there. A barrier of the cluster would wait for the card's memory, too, and forget what is cached
// of it; where there are no gates it has to do.
#if AUSPEX_GATES
AUSPEX_DEVICE uint32_t gate_address(const uint64_t* gate) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(gate));
}
// One thread; peers may send when they have waited for its block.
AUSPEX_DEVICE void make_gate(uint64_t* gate) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(gate_address(gate)) : "memory");
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
// One thread, for each time it opens; others may have sent already.
AUSPEX_DEVICE void announce(uint64_t* gate, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(gate_address(gate)),
               "r"(bytes)
               : "memory");
}
template <class T>
AUSPEX_DEVICE void send(T* shared, uint32_t peer, uint32_t index, T value, uint64_t* gate) {
  static_assert(sizeof(T) == 4);
  uint32_t bits;
  memcpy(&bits, &value, 4);
  asm volatile("st.async.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::"r"(
                   peer_address(shared + index, peer)),
               "r"(bits), "r"(peer_address(gate, peer))
               : "memory");
}
// Each thread, in the turns of its openings. The wait acquires at the block's scope: what was sent
// lies in its shared memory, of which no cache holds a copy. At the cluster's it would empty L1.
AUSPEX_DEVICE void pass(uint64_t* gate, uint32_t turn) {
  uint32_t open = 0;
  while (!open) {
    asm volatile(
        "{ .reg .pred open; mbarrier.try_wait.parity.shared::cta.b64 open, [%1], %2; "
        "selp.u32 %0, 1, 0, open; }"
        : "=r"(open)
        : "r"(gate_address(gate)), "r"(turn & 1)
        : "memory");
  }
}
#else
AUSPEX_DEVICE void make_gate(uint64_t*) {}
AUSPEX_DEVICE void announce(uint64_t*, uint32_t) {}
template <class T>
AUSPEX_DEVICE void send(T* shared, uint32_t peer, uint32_t index, T value, uint64_t*) {
#if __CUDA_ARCH__ >= 900
  uint32_t bits;
  memcpy(&bits, &value, 4);
  asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(peer_address(shared + index, peer)),
               "r"(bits)
               : "memory");
#else
  shared[index] = value;
#endif
}
AUSPEX_DEVICE void pass(uint64_t*, uint32_t) {
  arrive_peers();
  wait_peers();
}
#endif

AUSPEX_DEVICE float shuffle_xor(float value, uint32_t mask) {
  return __shfl_xor_sync(~0U, value, static_cast<int>(mask));
}

// Of memory that the kernel does not change.
AUSPEX_DEVICE Words fetch(const Words* from) {
  const uint4 v = __ldg(reinterpret_cast<const uint4*>(from));
  return {{v.x, v.y, v.z, v.w}};
}
AUSPEX_DEVICE uint32_t fetch(const uint32_t* from) {
  return __ldg(from);
}
AUSPEX_DEVICE float fetch(const float* from) {
  return __ldg(from);
}
AUSPEX_DEVICE void fetch_pair(const uint32_t* from, uint32_t (&to)[2]) {
  const uint2 v = __ldg(reinterpret_cast<const uint2*>(from));
  to[0] = v.x;
  to[1] = v.y;
}
// Of any memory.
AUSPEX_DEVICE Words read(const Words* from) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  return {{v.x, v.y, v.z, v.w}};
}
AUSPEX_DEVICE void write(Words* to, const Words& v) {
  *reinterpret_cast<uint4*>(to) = make_uint4(v.word[0], v.word[1], v.word[2], v.word[3]);
}

// 16 bytes to shared memory, there after wait_copies() and a barrier.
AUSPEX_DEVICE void copy_async(Words* shared, const Words* from) {
  const auto to = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from) : "memory");
}
AUSPEX_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_all;" ::: "memory");
}

// Memory that the host writes or reads while the kernel runs.
AUSPEX_DEVICE uint64_t look(const uint64_t* at) {
  uint64_t word;
  asm volatile("ld.relaxed.sys.global.u64 %0, [%1];" : "=l"(word) : "l"(at) : "memory");
  return word;
}
AUSPEX_DEVICE void show(float* to, float value) {
  asm volatile("st.relaxed.sys.global.f32 [%0], %1;" ::"l"(to), "f"(value) : "memory");
}
AUSPEX_DEVICE uint64_t clock_ns() {
  uint64_t time_ns;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(time_ns));
  return time_ns;
}
// Whether it is so in each lane of the warp.
AUSPEX_DEVICE bool all_lanes(bool value) {
  return __all_sync(~0U, value);
}

AUSPEX_DEVICE uint32_t bits_of(float value) {
  return __float_as_uint(value);
}
AUSPEX_DEVICE float float_of(uint32_t bits) {
  return __uint_as_float(bits);
}
// Byte `place` of the word, in place of the last one of `base`.
AUSPEX_DEVICE uint32_t byte_behind(uint32_t word, uint32_t place, uint32_t base) {
  return __byte_perm(word, base, 0x7650 | place);
}
// Bytes 1 and 3 of a word, each in a half of its own.
AUSPEX_DEVICE uint32_t odd_bytes(uint32_t word) {
  return __byte_perm(word, 0, 0x4341);
}
AUSPEX_DEVICE float not_a_number() {
  return __uint_as_float(0x7fc00000U);
}
AUSPEX_DEVICE uint32_t rounded_up_to_255(float value) {
  return static_cast<uint32_t>(__float2int_rn(value));
}
AUSPEX_DEVICE uint16_t half_of(float value) {
  return __half_as_ushort(__float2half_rn(value));
}
AUSPEX_DEVICE float float_of_half(uint32_t bits) {
  return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}

// sum [16][8] += a [16][k] b [k][8]; k is 8 of TF32, 16 of BF16 and FP16, 32 of INT8, 64 of 2:4.
AUSPEX_DEVICE void multiply_tf32(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                 uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
AUSPEX_DEVICE void multiply_bf16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                 uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
AUSPEX_DEVICE void multiply_fp16(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                 uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
// a signed, b unsigned
AUSPEX_DEVICE void multiply_int8(int32_t (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                 uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#if __CUDACC_VER_MAJOR__ * 10 + __CUDACC_VER_MINOR__ >= 125
#define AUSPEX_MMA_SP "mma.sp::ordered_metadata"
#else
#define AUSPEX_MMA_SP "mma.sp"
#endif
// a signed, of four in sequence the two that `places` tells; b unsigned
AUSPEX_DEVICE void multiply_pairs(int32_t (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[4],
                                  uint32_t places) {
  asm volatile(AUSPEX_MMA_SP
               ".sync.aligned.m16n8k64.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
               "{%8,%9,%10,%11}, {%0,%1,%2,%3}, %12, 0x0;"
               : "+r"(sum[0]), "+r"(sum[1]), "+r"(sum[2]), "+r"(sum[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(b[2]),
                 "r"(b[3]), "r"(places));
}

}  // namespace auspex::cuda

// SPDX-License-Identifier: Apache-2.0
// How a model file begins; shared by its reader and its writer.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace auspex {

static_assert(std::endian::native == std::endian::little, "the file is used as it lies");

inline constexpr char kModelMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'M', 'F'};
// The most that FlatBuffers 2.0 gives; an AVX2 register.
inline constexpr size_t kModelAlignment = 32;

struct ModelHeader {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  uint64_t payload_bytes;
  uint64_t checksum;  // XXH3 of the payload
  uint8_t padding[32];
};
static_assert(sizeof(ModelHeader) % kModelAlignment == 0);

}  // namespace auspex

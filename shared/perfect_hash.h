// SPDX-License-Identifier: Apache-2.0
// A perfect hash of a fixed set of 64-bit keys: each has a slot of its own, found with one small
// number (the pilot) of the few keys that share its bucket. Pilots are 4 bits per key.
// Source: hash and displace (Belazzougui, Botelho, Dietzfelbinger 2009), with PTHash's pilots in
// place of pairs of displacements (Pibiri, Trani 2021).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "shared/result.h"

namespace auspex {

// Where to look. The arithmetic is bijections and multiplications: no division, no branch.
struct PerfectHash {
  uint64_t seed = 0;
  uint32_t buckets = 1;  // each with one pilot
  uint32_t slots = 1;

  // Different keys have different ones. The high half chooses the bucket.
  uint64_t mixed(uint64_t key) const {
    // Source of the two factors: MurmurHash3's 64-bit finalizer (Appleby, public domain).
    uint64_t h = (key ^ seed) * 0xff51afd7ed558ccdULL;
    h = (h ^ (h >> 32)) * 0xc4ceb9fe1a85ec53ULL;
    return h ^ (h >> 32);
  }
  // Range: [0, buckets); does not fall as `mixed` grows.
  uint32_t bucket(uint64_t mixed) const { return part_of(mixed, buckets); }
  // Range: [0, slots)
  uint32_t slot(uint64_t mixed, uint16_t pilot) const {
    // The pilot goes in before the multiplication, or keys that differ in low bits only would
    // share a slot under every pilot. Source of the factors: golden ratio; xxHash's PRIME64_2.
    return part_of((mixed ^ (pilot * 0x9e3779b97f4a7c15ULL)) * 0xc2b2ae3d27d4eb4fULL, slots);
  }
  // What to keep in a slot to notice a key that is not of the set. A key's slot says nothing about
  // it unless its high half is known too: another key passes for one of the set with 2^-32.
  static uint32_t fingerprint(uint64_t mixed) { return static_cast<uint32_t>(mixed); }

 private:
  static uint32_t part_of(uint64_t x, uint32_t count) {
    return static_cast<uint32_t>(((x >> 32) * count) >> 32);
  }
};

struct BuiltPerfectHash {
  PerfectHash hash;
  std::vector<uint16_t> pilots;  // Shape: [buckets]
};

// Depends on the set of keys alone, not on their order. At least one bucket and one slot, also of
// no keys; else one of 21 slots stays free. A million keys take .3 s.
// Errors: a key twice; more than 2^30 keys; none found in 64 attempts on ever larger tables, which
// only keys made for it could bring about.
Result<BuiltPerfectHash> perfect_hash_of(std::span<const uint64_t> keys);

}  // namespace auspex

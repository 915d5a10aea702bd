// SPDX-License-Identifier: Apache-2.0
// CategoryLookup: from a field and the hash of its value to a row of the first layer, as it lies in
// a model file. One perfect hash serves all fields: cold, one per field took 4 to 7 % longer, for
// its sizes are memory to wait for too.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/perfect_hash.h"
#include "shared/result.h"

namespace auspex {

namespace model {
struct RuntimeModel;
}

// A known value. Another one passes for it with probability 2^-32.
struct CategoryEntry {
  uint32_t fingerprint = 0;
  uint32_t row = kFree;

  static constexpr uint32_t kFree = UINT32_MAX;  // no value has this slot
};

struct CategoryLookup {
  PerfectHash hash;
  uint64_t salt = 0;
  const uint16_t* pilots = nullptr;        // Shape: [hash.buckets]
  const CategoryEntry* entries = nullptr;  // Shape: [hash.slots]

  // What the perfect hash is of. The salt depends on all values of a model, so that nobody can
  // choose two values of two fields with one key.
  static uint64_t key(size_t field, uint64_t value, uint64_t salt) {
    return value + (field + 1) * salt;
  }
  uint64_t mixed(size_t field, uint64_t value) const { return hash.mixed(key(field, value, salt)); }
  const uint16_t* pilot(uint64_t mixed) const { return &pilots[hash.bucket(mixed)]; }
  // Reads the pilot, not the entry.
  const CategoryEntry* entry(uint64_t mixed) const {
    return &entries[hash.slot(mixed, *pilot(mixed))];
  }
  static bool is_of(const CategoryEntry& entry, uint64_t mixed) {
    return (entry.fingerprint == PerfectHash::fingerprint(mixed)) &
           (entry.row != CategoryEntry::kFree);
  }
};

// That of a model, whose memory it goes on using.
CategoryLookup lookup_of(const model::RuntimeModel& model);

// Whether it may be used: nothing outside the model's memory or its one-hot rows is reached, and it
// knows the values that the fields list, each in an entry of its own, and no others.
// Errors: what is wrong.
Status check_lookup(const model::RuntimeModel& model, uint32_t one_hot_rows);

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
#include "shared/category_lookup.h"

#include <algorithm>
#include <string>
#include <vector>

#include "shared/features.h"
#include "shared/model_generated.h"

namespace auspex {

// A forged file keeps entries aligned too: the verifier wants each vector's length on 4 bytes.
static_assert(sizeof(CategoryEntry) == sizeof(model::CategoryEntry) &&
              alignof(CategoryEntry) == sizeof(flatbuffers::uoffset_t));

CategoryLookup lookup_of(const model::RuntimeModel& model) {
  const model::Lookup& saved = *model.lookup();
  return {{saved.seed(), saved.pilots()->size(), saved.entries()->size()},
          saved.salt(),
          saved.pilots()->data(),
          reinterpret_cast<const CategoryEntry*>(saved.entries()->Data())};
}

Status check_lookup(const model::RuntimeModel& model, uint32_t one_hot_rows) {
  const CategoryLookup lookup = lookup_of(model);
  if (lookup.hash.buckets == 0 || lookup.hash.slots == 0) {
    return Error{"a category lookup of " + std::to_string(lookup.hash.buckets) + " pilots and " +
                 std::to_string(lookup.hash.slots) + " entries"};
  }
  size_t entries = 0, values = 0;
  for (uint32_t slot = 0; slot < lookup.hash.slots; ++slot) {
    const uint32_t row = lookup.entries[slot].row;
    if (row == CategoryEntry::kFree) continue;
    if (row >= one_hot_rows) return Error{"a category's row outside the first layer"};
    ++entries;
  }
  std::vector<bool> found(lookup.hash.slots);
  for (uint32_t field = 0; field < kCategoryCount; ++field) {
    const auto& listed = *model.fields()->Get(field)->values();
    const std::string name(kCategoryNames[field]);
    const auto place = reinterpret_cast<uintptr_t>(listed.Data());  // of none: anywhere
    if (listed.size() > 0 && place % sizeof(uint64_t) != 0) {
      return Error{"field " + name + ": its values are not aligned"};
    }
    uint64_t before = Features::kMissing;
    for (const uint64_t value : listed) {
      if (value <= before) return Error{"field " + name + ": its values do not ascend"};
      before = value;
      const uint64_t mixed = lookup.mixed(field, value);
      const CategoryEntry& entry = *lookup.entry(mixed);
      const auto slot = static_cast<size_t>(&entry - lookup.entries);
      if (!CategoryLookup::is_of(entry, mixed) || found[slot]) {
        return Error{"field " + name + ": a value without its entry in the category lookup"};
      }
      found[slot] = true;
    }
    values += listed.size();
  }
  if (entries != values) {
    return Error{"a category lookup of " + std::to_string(entries) + " rows for " +
                 std::to_string(values) + " values"};
  }
  return Done{};
}

}  // namespace auspex

// SPDX-License-Identifier: Apache-2.0
#include "shared/history/key_table.h"

namespace auspex {

void Running::start(int64_t time_s) {
  queued -= queued > 0 ? 1 : 0;
  ++running;
  size_t at = 0;
  while (at < known && starts_s[at] < time_s) ++at;
  if (at < known && starts_s[at] == time_s) {
    ++jobs[at];
    return;
  }
  for (size_t to = known; to > at; --to) {
    starts_s[to] = starts_s[to - 1];
    jobs[to] = jobs[to - 1];
  }
  starts_s[at] = time_s;
  jobs[at] = 1;
  if (++known > kStarts) join_nearest();
}

void Running::join_nearest() {
  const auto gap = [this](size_t i) {
    return static_cast<uint64_t>(starts_s[i + 1]) - static_cast<uint64_t>(starts_s[i]);
  };
  size_t nearest = 0;
  for (size_t i = 1; i + 1 < known; ++i) {
    if (gap(i) <= gap(nearest)) nearest = i;
  }
  jobs[nearest] += jobs[nearest + 1];
  drop(nearest + 1);
}

void Running::drop(size_t at) {
  --known;
  for (; at < known; ++at) {
    starts_s[at] = starts_s[at + 1];
    jobs[at] = jobs[at + 1];
  }
}

void Running::end(int64_t start_s) {
  if (known == 0) return;
  --running;
  size_t at = 0;
  while (at + 1 < known && starts_s[at + 1] <= start_s) ++at;
  if (--jobs[at] == 0) drop(at);
}

const KeySlot* KeyTable::find(uint64_t key) const {
  if (key == 0) return nullptr;
  const auto found = index_.find(key);
  return found == index_.end() ? nullptr : &slots_[found->second];
}

void KeyTable::prefetch(const KeySlot& slot) const {
  constexpr size_t kLine = 64;
  const auto index = static_cast<size_t>(&slot - slots_.data());
  const auto* first = reinterpret_cast<const uint8_t*>(past_.data() + index * ring_);
  for (size_t at = 0; at < ring_ * sizeof(Past); at += kLine) __builtin_prefetch(first + at);
}

void KeyTable::unlink(uint32_t index) {
  const KeySlot& slot = slots_[index];
  if (index == oldest_) {
    oldest_ = slot.newer;
  } else {
    slots_[slot.older].newer = slot.newer;
  }
  if (index == newest_) {
    newest_ = slot.older;
  } else {
    slots_[slot.newer].older = slot.older;
  }
}

void KeyTable::link_newest(uint32_t index) {
  slots_[index].older = newest_;
  slots_[newest_].newer = index;
  newest_ = index;
}

void KeyTable::grow() {
  // By doubling, as a vector does, but never beyond the capacity.
  if (slots_.size() == slots_.capacity()) {
    const size_t keys = std::min<size_t>(capacity_, std::max<size_t>(2 * slots_.size(), 1));
    slots_.reserve(keys);
    past_.reserve(keys * ring_);
  }
  slots_.emplace_back();
  past_.resize(past_.size() + ring_);
}

KeySlot& KeyTable::touch(uint64_t key) {
  if (const auto found = index_.find(key); found != index_.end()) {
    const uint32_t index = found->second;
    if (index != newest_) {
      unlink(index);
      link_newest(index);
    }
    return slots_[index];
  }
  uint32_t index = 0;
  if (slots_.size() < capacity_) {
    index = static_cast<uint32_t>(slots_.size());
    grow();
    if (index == 0) oldest_ = newest_ = 0;
  } else {
    index = oldest_;
    index_.erase(slots_[index].key);
    if (capacity_ > 1) unlink(index);
    slots_[index] = KeySlot();
  }
  if (index != newest_) link_newest(index);
  slots_[index].key = key;
  index_.emplace(key, index);
  return slots_[index];
}

void KeyTable::add(KeySlot& slot, const Past& past) {
  // Source: our choice; half of the weight on the last two or three jobs.
  constexpr float kDecay = 0.3F;
  const auto index = static_cast<size_t>(&slot - slots_.data());
  past_[index * ring_ + slot.head] = past;
  slot.head = (slot.head + 1) % ring_;
  const float value = past.log_runtime_s;
  slot.decayed_log_s =
      slot.count == 0 ? value : slot.decayed_log_s + kDecay * (value - slot.decayed_log_s);
  ++slot.count;
  slot.at_limit += past.ending == Ending::kAtLimit ? 1 : 0;
  slot.sum += value;
  slot.sum_squares += double{value} * value;
}

void KeyTable::restore(const KeySlot& saved, std::span<const Past> past) {
  KeySlot& slot = touch(saved.key);
  const auto index = static_cast<size_t>(&slot - slots_.data());
  const uint32_t newer = slot.newer, older = slot.older;
  slot = saved;
  slot.newer = newer;
  slot.older = older;
  slot.head = static_cast<uint32_t>(past.size()) % ring_;
  std::copy(past.begin(), past.end(), past_.begin() + static_cast<ptrdiff_t>(index * ring_));
}

size_t KeyTable::bytes_per_key(uint32_t ring) {
  return sizeof(KeySlot) + ring * sizeof(Past) + hashed_bytes(2 * sizeof(uint64_t));
}

size_t KeyTable::growing_bytes_per_key(uint32_t ring) {
  return std::max(sizeof(KeySlot), ring * sizeof(Past));
}

}  // namespace auspex
